"""
What people write where an SPDX identifier should stand, as data: classifiers, free text, licence texts.

Only what names one licence is listed. "BSD" or "GPL" alone is not one licence, so neither the
classifier "BSD License" nor the word says anything here; the licence file then has to.
"""

import re
from dataclasses import dataclass

_OSI = "License :: OSI Approved :: "

CLASSIFIERS = {
    _OSI + "MIT License": "MIT",
    _OSI + "MIT No Attribution License (MIT-0)": "MIT-0",
    _OSI + "Apache Software License": "Apache-2.0",
    _OSI + "ISC License (ISCL)": "ISC",
    _OSI + "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1",
    _OSI + "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    _OSI + "The Unlicense (Unlicense)": "Unlicense",
    _OSI + "zlib/libpng License": "Zlib",
    _OSI + "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    _OSI + "Python Software Foundation License": "PSF-2.0",
    _OSI + "Academic Free License (AFL)": "AFL-3.0",
    _OSI + "Zope Public License": "ZPL-2.1",
    _OSI + "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    _OSI + "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    _OSI + "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    _OSI + "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    _OSI + "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    _OSI + "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    _OSI + "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    _OSI + "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    _OSI + "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    _OSI + "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    _OSI + "GNU Affero General Public License v3": "AGPL-3.0-only",
    _OSI + "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "License :: CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
}

# Keys are what `words` makes of the text, so punctuation, case and filler words do not matter.
PHRASES = {
    "mit": "MIT",
    "expat": "MIT",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache version 2.0": "Apache-2.0",
    "apache software 2.0": "Apache-2.0",
    "asl 2.0": "Apache-2.0",
    "bsd 2 clause": "BSD-2-Clause",
    "2 clause bsd": "BSD-2-Clause",
    "simplified bsd": "BSD-2-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "3 clause bsd": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause",
    "isc": "ISC",
    "mpl 2.0": "MPL-2.0",
    "mozilla public 2.0": "MPL-2.0",
    "python software foundation": "PSF-2.0",
    "psf": "PSF-2.0",
    "unlicense": "Unlicense",
    "gplv2": "GPL-2.0-only",
    "gplv2+": "GPL-2.0-or-later",
    "gplv3": "GPL-3.0-only",
    "gplv3+": "GPL-3.0-or-later",
    "lgplv3": "LGPL-3.0-only",
    "lgplv3+": "LGPL-3.0-or-later",
    "agplv3": "AGPL-3.0-only",
    "agplv3+": "AGPL-3.0-or-later",
}

# Words of the License field that say that nobody filled it in.
SAYS_NOTHING = frozenset({"unknown", "none", "n/a", "tbd", "see file", "other", "proprietary or unknown"})

_FILLER = frozenset({"the", "license", "licence", "licensed", "under", "of", "v"})
_WORD = re.compile(r"[a-z0-9.+/]+")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A licence text recognised by phrases that all must stand in it, and phrases that must not."""

    identifier: str
    present: tuple[str, ...]
    absent: tuple[str, ...] = ()


_GRANT = "permission is hereby granted, free of charge"
_REDISTRIBUTE = "redistribution and use in source and binary forms"
_LATER = "any later version"

FINGERPRINTS = (
    Fingerprint("Apache-2.0", ("apache license", "version 2.0")),
    Fingerprint("MIT", (_GRANT, "shall be included in all copies")),
    Fingerprint("MIT-0", (_GRANT, "without restriction"), ("shall be included in all",)),
    Fingerprint("BSD-3-Clause", (_REDISTRIBUTE, "neither the name")),
    Fingerprint(
        "BSD-2-Clause", (_REDISTRIBUTE,), ("neither the name", "may not be used to endorse", "advertising")
    ),
    Fingerprint("ISC", ("with or without fee is hereby granted", "permission notice appear in all copies")),
    Fingerprint("MPL-2.0", ("mozilla public license", "version 2.0")),
    Fingerprint("MPL-2.0", ("mozilla public license", "v. 2.0")),
    Fingerprint("MPL-2.0", ("mozilla public license v 2.0",)),
    Fingerprint("Unlicense", ("free and unencumbered software released into the public domain",)),
    Fingerprint("PSF-2.0", ("python software foundation license version 2",)),
    Fingerprint("PSF-2.0", ("python software foundation", "stichting mathematisch centrum")),
    Fingerprint("BSL-1.0", ("boost software license - version 1.0",)),
    Fingerprint("CC0-1.0", ("cc0 1.0 universal",)),
    Fingerprint(
        "GPL-2.0-only", ("gnu general public license", "version 2"), ("version 3", _LATER, "lesser", "affero")
    ),
    Fingerprint(
        "GPL-2.0-or-later", ("gnu general public license", "version 2", _LATER), ("version 3", "lesser")
    ),
    Fingerprint("GPL-3.0-only", ("gnu general public license", "version 3"), (_LATER, "lesser", "affero")),
    Fingerprint(
        "GPL-3.0-or-later", ("gnu general public license", "version 3", _LATER), ("lesser", "affero")
    ),
    Fingerprint("LGPL-2.1-only", ("gnu lesser general public license", "version 2.1"), (_LATER,)),
    Fingerprint("LGPL-2.1-or-later", ("gnu lesser general public license", "version 2.1", _LATER)),
    Fingerprint("LGPL-3.0-only", ("gnu lesser general public license", "version 3"), (_LATER,)),
    Fingerprint("LGPL-3.0-or-later", ("gnu lesser general public license", "version 3", _LATER)),
    Fingerprint("AGPL-3.0-only", ("gnu affero general public license", "version 3"), (_LATER,)),
    Fingerprint("AGPL-3.0-or-later", ("gnu affero general public license", "version 3", _LATER)),
)


def words(text: str) -> str:
    """Reduce a short free text to the words that tell licences apart, so that spellings meet."""
    return " ".join(word for word in _WORD.findall(text.lower().replace("-", " ")) if word not in _FILLER)


def recognise(text: str) -> tuple[str, ...]:
    """Say which licences' characteristic phrases stand in a text, each once, in the order of the table."""
    flat = " ".join(text.lower().split())
    return tuple(
        dict.fromkeys(
            fingerprint.identifier
            for fingerprint in FINGERPRINTS
            if all(phrase in flat for phrase in fingerprint.present)
            and not any(phrase in flat for phrase in fingerprint.absent)
        )
    )
