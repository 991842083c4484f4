"""
Step two after a careless upgrade: version 2 of the extractor, which learned ``License-Expression``.

It looks right. Metadata 2.4 says that the new field is authoritative, so the upgrade reads it first
and needs nothing else. But it was tried on expressions of one word, and of a compound one it keeps
the first identifier. What it returns passes the same typed model as the right answer, is consistent
in itself, and can be told from the truth only by somebody who has the request as well.
"""

from licence_audit import expression
from licence_audit.extractor import Mention, digest, facts, legacy_mentions, settle
from licence_audit.facts import LicenceFacts, ParsedMetadata


def extract(parsed: ParsedMetadata) -> LicenceFacts:
    """Settle what a distribution's licence is; of a compound expression, only its beginning."""
    if parsed.licence_expression is not None and parsed.expression_identifiers:
        first = expression.Licence(parsed.expression_identifiers[0])
        mention = Mention("expression", "License-Expression", first, digest(parsed.licence_expression))
        return facts(parsed, "expression", first, (mention,))
    mentions = tuple(legacy_mentions(parsed))
    basis, tree = settle(mentions)
    return facts(parsed, basis, tree, mentions)
