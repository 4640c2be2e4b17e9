"""The template document: from text to data, from data to a checked model, and its digests and addresses.

Reading files is the caller's job; nothing here does I/O.
"""

from shared.contracts.template.address import credential_origin, fill_base_url, origin_of, with_defaults
from shared.contracts.template.digests import canonical_json, document_digest, operation_digest, operation_digests
from shared.contracts.template.document import PartName, Report, check, check_part
from shared.contracts.template.model import (
    CLIENT_CERTIFICATE,
    Auth,
    CredentialField,
    Operation,
    Parameter,
    Resilience,
    ResilienceOverride,
    Template,
)
from shared.contracts.template.plain import MAX_SAFE_INTEGER, MAX_TEMPLATE_BYTES
from shared.contracts.template.problems import Position, Problem
from shared.contracts.template.schema import json_schema
from shared.contracts.template.schemas import compile_schema
from shared.contracts.template.slugs import slugify
from shared.contracts.template.terms import Terms, terms_changed, terms_digest, terms_of
from shared.contracts.template.values import fits
from shared.contracts.template.yaml_source import Source, SourceError, parse_source

__all__ = [
    "CLIENT_CERTIFICATE",
    "MAX_SAFE_INTEGER",
    "MAX_TEMPLATE_BYTES",
    "Auth",
    "CredentialField",
    "Operation",
    "Parameter",
    "PartName",
    "Position",
    "Problem",
    "Report",
    "Resilience",
    "ResilienceOverride",
    "Source",
    "SourceError",
    "Template",
    "Terms",
    "canonical_json",
    "check",
    "check_part",
    "compile_schema",
    "credential_origin",
    "document_digest",
    "fill_base_url",
    "fits",
    "json_schema",
    "operation_digest",
    "operation_digests",
    "origin_of",
    "parse_source",
    "slugify",
    "terms_changed",
    "terms_digest",
    "terms_of",
    "with_defaults",
]
