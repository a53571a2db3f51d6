"""What a producer asks for, besides the rows: checked, identified, and turned into a submission. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from typing import Any

import orjson

from vertexq.errors import BadInput, BadSource
from vertexq.families import Family, family_of, family_taking, named_by
from vertexq.families.own_models import of_another_project
from vertexq.ids import checked_submission_id, new_submission_id
from vertexq.model import Estimate, NewSubmission, Policy, SourceKind, Terms
from vertexq.places import check_labels, check_place
from vertexq.recipients import recipient_of
from vertexq.sources.destinations import check_destination
from vertexq.sources.kinds import WILDCARD, Format, check_objects, format_of, is_packed
from vertexq.sources.tables import check_options, check_tables, is_table, place_fault
from vertexq.sources.template import Template
from vertexq.terms import checked_terms

_FIELD_LIMIT = 300
_STORE = re.compile("[a-z0-9_]{1,100}")
_MENDING = ("split_conflicts", "repair", "set_aside")
_IDENTIFYING = ("key_field", "labels", "location", "model", "project")
_IF_ASKED = ("template", "parameters", "destination")
STORES_LIMIT = 8
"""How many stores one submission may land in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a producer asked for, besides the rows. ``template`` is canonical JSON, or empty.

    ``store`` is what ``joined_stores`` returns.
    """

    id: str | None
    model: str
    store: str
    key_field: str = "key"
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    project: str = ""
    location: str = ""
    tenant: str = ""
    template: str = ""
    policy: Policy = field(default_factory=Policy)
    terms: Terms = field(default_factory=Terms)
    on_complete: str = ""
    family: str = ""  # empty: the model says it
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    destination: str = ""  # bq://project.dataset

    def checked(self) -> Order:
        """Return the order; raise ``BadInput`` for what Google would refuse or what makes no sense."""
        check_place(self.project, self.location)
        check_labels(self.labels)
        checked_terms(self.terms)
        recipient_of(self.on_complete)
        self._check_model()
        if not self.key_field or len(self.key_field) > _FIELD_LIMIT:
            raise BadInput("the key's field must have a name, of at most 300 characters")
        self._check_in_place()
        return self

    def _check_in_place(self) -> None:
        """Raise ``BadInput`` when lines are to stay as they are and to be changed."""
        policy = self.policy
        mending = [name for name in _MENDING if getattr(policy, name)]
        word = "resume" if policy.resume else "as_is"
        if policy.in_place and (mending or self.template):
            other = mending[0] if mending else "a template"
            raise BadInput(f"{word} leaves every line as it is, so it cannot go with {other}; leave one out")
        family = family_of(self.model, self.family)
        if policy.resume and not family.resumes:
            raise BadInput(
                f"Google resumes batch jobs of Gemini models only, and {self.model!r} is of the family "
                f"{family.name}; submit the rows that have no answer without resume"
            )
        if policy.in_place and (not family.wire.key or (self.parameters and family.requesting)):
            other = "parameters" if family.wire.key else f"models of the family {family.name}"
            raise BadInput(
                f"lines that stay as they are do not go with {other}; submit the rows without {word}"
            )

    def _check_model(self) -> None:
        """Raise ``BadInput`` for parameters or a place that the model's family does not take."""
        family = family_taking(self.model, self.family, self.parameters)
        self._check_wishes(family)
        check_destination(self.destination, family, self.location)
        elsewhere = family.refusal(self.model, self.location) if self.location else ""
        if why := of_another_project(self.model, self.project) or elsewhere:
            raise BadInput(f"{why}; nothing was sent")

    def _check_wishes(self, family: Family) -> None:
        """Raise ``BadInput`` for what is done for models of other families only."""
        if self.terms.finish_online and family.online is None:
            raise BadInput(
                f"models of the family {family.name} are not asked online, so the last rows cannot be "
                "finished online; leave finish_online out; nothing was sent"
            )
        if self.policy.validate and not family.validates:
            raise BadInput(
                f"answers of models of the family {family.name} are not held to a schema; leave validate "
                "out, and look at the answers themselves; nothing was sent"
            )

    def with_options_form(self, form: str) -> Order:
        """Return the order under a setting of how options of embeddings are written; its own word wins."""
        family = family_of(self.model, self.family)
        return replace(self, parameters=family.with_form(self.parameters, form.lower()))

    def with_tenant(self, tenant: str, *, label: str) -> Order:
        """Return the order of a tenant, which is the value of a label: ``tenant``, or what the label says."""
        said = self.labels.get(label, "")
        if tenant and said and tenant != said:
            raise BadInput(f"the tenant is {tenant!r} and the label {label!r} says {said!r}; leave one out")
        labels = {**self.labels, label: tenant} if tenant else self.labels
        return replace(self, tenant=tenant or said, labels=labels)

    def identity(self) -> dict[str, object]:
        """Return what makes two orders the same one; neither the id nor the terms are part of it.

        Of several stores the set counts, not which comes first: that stays as it was first enqueued.
        What is not asked for is left out, so that an option that comes new to vertexq changes no identity.
        """
        named: dict[str, object] = {name: getattr(self, name) for name in _IDENTIFYING}
        named["labels"] = dict(self.labels)
        named["store"] = ",".join(sorted(self.store.split(",")))
        policy = [name for name, wanted in asdict(self.policy).items() if wanted]
        asked = {"policy": policy, **{name: getattr(self, name) for name in _IF_ASKED}}
        asked["family"] = "" if self.family == named_by(self.model) else self.family
        return named | {name: value for name, value in asked.items() if value}

    def holds_rows(self, uri: str) -> bool:
        """Tell whether rows have to be looked for in or below what ``uri`` names; an image is one itself."""
        object_row = family_of(self.model, self.family).object_row
        return object_row is None or WILDCARD in uri or object_row(uri) is None

    def for_uris(self, uris: Sequence[str]) -> NewSubmission:
        """Return the submission of what ``uris`` name: ``gs://`` objects, or one table."""
        return self.for_table(uris) if any(map(is_table, uris)) else self.for_objects(uris)

    def for_table(self, uris: Sequence[str]) -> NewSubmission:
        """Return the submission of a table; its rows are checked when they are staged."""
        check_tables(uris)
        check_options(self.policy, template=self.template)
        family = family_of(self.model, self.family)
        if family.tables is None:
            raise BadSource(
                f"jobs of {self.model} read no tables; put the rows in Cloud Storage or in a file"
            )
        if self.parameters and family.requesting:
            raise BadSource(
                f"{', '.join(sorted(self.parameters))} cannot be set for a table: its rows stay as they are; "
                "have it in each request, or put the rows in Cloud Storage or in a file; nothing was sent"
            )
        if why := place_fault(self.location):
            raise BadSource(f"{uris[0]} cannot be read: {why}; nothing was sent")
        identity = orjson.dumps([self.identity(), uris[0]], option=orjson.OPT_SORT_KEYS)
        digest = blake2b(identity, digest_size=16).hexdigest()
        return self._submission(SourceKind.BIGQUERY, fingerprint=digest, source=uris[0])

    def for_objects(self, uris: Sequence[str]) -> NewSubmission:
        """Return the submission of ``gs://`` objects; their rows are checked when they are staged."""
        family = family_of(self.model, self.family)
        check_objects(uris, directories=self.policy.resume or family.object_row is not None)
        if self.policy.in_place:
            _check_as_is(uris)
        source: str | list[str] = uris[0] if len(uris) == 1 else list(uris)
        identity = orjson.dumps([self.identity(), source], option=orjson.OPT_SORT_KEYS)
        digest = blake2b(identity, digest_size=16).hexdigest()
        return self._submission(SourceKind.GCS, fingerprint=digest, source="\n".join(uris))

    def for_rows(self, *, rows: int, estimate: Estimate, fingerprint: str) -> NewSubmission:
        """Return the submission of rows that have been checked and spooled."""
        return self._submission(SourceKind.SPOOL, fingerprint=fingerprint, rows=rows, estimate=estimate)

    def check_rows(self) -> None:
        """Raise ``BadInput`` when rows of the producer's own cannot be enqueued in this way."""
        if self.policy.resume:
            raise BadInput(
                "resume is for the output of a job in Cloud Storage; name it, gs://bucket/directory/"
            )
        if self.policy.as_is:
            raise BadInput("as_is is for gs:// objects only; rows and local files have to be uploaded anyway")

    def filler(self) -> Template | None:
        """Return the template that turns records into rows; None when there is none."""
        return Template.parse(self.template) if self.template else None

    def _submission(
        self,
        kind: SourceKind,
        *,
        fingerprint: str,
        source: str = "",
        rows: int | None = None,
        estimate: Estimate | None = None,
    ) -> NewSubmission:
        return NewSubmission(
            id=checked_submission_id(self.id) if self.id is not None else new_submission_id(),
            fingerprint=fingerprint,
            model=self.model,
            store=self.store,
            source_kind=kind,
            source=source,
            rows=rows,
            key_field=self.key_field,
            project=self.project,
            location=self.location,
            labels=self.labels,
            tenant=self.tenant,
            template=self.template,
            policy=self.policy,
            terms=self.terms,
            on_complete=self.on_complete,
            estimate=estimate,
            family=family_of(self.model, self.family).name,
            parameters=self.parameters,
            destination=self.destination,
        )


def joined_stores(given: str | Iterable[str]) -> str:
    """Return names of stores as the ledger has them, with commas between; the first is the primary one.

    Raise ``BadInput`` for what is no name, for a name that comes twice, and for none or too many.
    """
    names = [name for one in ([given] if isinstance(given, str) else given) for name in one.split(",")]
    for name in names:
        if not _STORE.fullmatch(name):
            raise BadInput(f"{name[:80]!r} is no name of a store: it has letters (a-z), digits and _ only")
        if names.count(name) > 1:
            raise BadInput(f"the store {name} was named twice; a row lands in each store once")
    if not 1 <= len(names) <= STORES_LIMIT:
        raise BadInput(f"{len(names)} stores were named; a submission lands in 1 to {STORES_LIMIT}")
    return ",".join(names)


def _check_as_is(uris: Sequence[str]) -> None:
    for uri in uris:
        if is_packed(uri) or format_of(uri) is not Format.JSONL:
            raise BadSource(
                f"{uri} cannot be used as it is: a job reads plain JSON Lines; leave as_is out, and it is "
                "unpacked and staged"
            )
