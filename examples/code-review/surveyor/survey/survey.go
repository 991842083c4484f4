// Package survey reads one Go source file and says what is in it, with the compiler's own parser.
package survey

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// File is what there is to be surveyed.
type File struct {
	Name   string `json:"name"`
	Source string `json:"source"`
}

// Advice is what somebody else thinks of one module.
type Advice struct {
	Module  string `json:"module"`
	Verdict string `json:"verdict"`
	Note    string `json:"note"`
}

// Survey is what stands in the file: nothing that the parser did not see.
type Survey struct {
	Name     string   `json:"name"`
	Declares string   `json:"declares"` // the package
	Lines    int      `json:"lines"`
	Imports  []string `json:"imports"`
	Exported []string `json:"exported"`
	Advice   []Advice `json:"advice"`
}

// Of parses a file. The error names the place in it.
func Of(file File) (Survey, error) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file.Name, file.Source, parser.SkipObjectResolution)
	if err != nil {
		return Survey{}, err
	}
	survey := Survey{
		Name: file.Name, Declares: tree.Name.Name, Lines: set.File(tree.Pos()).LineCount(),
		Imports: []string{}, Exported: []string{}, Advice: []Advice{},
	}
	for _, spec := range tree.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return Survey{}, err
		}
		survey.Imports = append(survey.Imports, path)
	}
	for _, declaration := range tree.Decls {
		for _, name := range names(declaration) {
			if name.IsExported() {
				survey.Exported = append(survey.Exported, name.Name)
			}
		}
	}
	slices.Sort(survey.Imports)
	slices.Sort(survey.Exported)
	survey.Imports, survey.Exported = slices.Compact(survey.Imports), slices.Compact(survey.Exported)
	return survey, nil
}

func names(declaration ast.Decl) []*ast.Ident {
	var found []*ast.Ident
	switch decl := declaration.(type) {
	case *ast.FuncDecl:
		found = append(found, decl.Name)
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch named := spec.(type) {
			case *ast.TypeSpec:
				found = append(found, named.Name)
			case *ast.ValueSpec:
				found = append(found, named.Names...)
			}
		}
	}
	return found
}

// Foreign returns the imports that are not of Go's standard library: those whose first element is a host.
func (s Survey) Foreign() []string {
	foreign := []string{}
	for _, path := range s.Imports {
		if first, _, _ := strings.Cut(path, "/"); strings.Contains(first, ".") {
			foreign = append(foreign, path)
		}
	}
	return foreign
}
