package survey

import (
	"reflect"
	"testing"
)

const source = `package pool

import (
	"sync"

	"example.org/fast/ring"
)

const Size, spare = 8, 1

type Pool struct{ mu sync.Mutex }

func New() *Pool { return &Pool{} }

func (p *Pool) Take() int { return ring.Next(Size) }
`

func TestASurveySaysWhatTheParserSaw(t *testing.T) {
	want := Survey{
		Name: "pool.go", Declares: "pool", Lines: 15, Imports: []string{"example.org/fast/ring", "sync"},
		Exported: []string{"New", "Pool", "Size", "Take"}, Advice: []Advice{},
	}
	got, err := Of(File{"pool.go", source})
	if err != nil || !reflect.DeepEqual(want, got) {
		t.Errorf("want %v, got %v, %v", want, got, err)
	}
	if foreign := got.Foreign(); !reflect.DeepEqual([]string{"example.org/fast/ring"}, foreign) {
		t.Errorf("want the one foreign import, got %v", foreign)
	}
}

func TestWhatIsNoGoIsAnError(t *testing.T) {
	if _, err := Of(File{"x.go", "def f(): pass"}); err == nil {
		t.Error("want an error")
	}
}
