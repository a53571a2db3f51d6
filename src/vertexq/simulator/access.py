"""Who may do what with the simulated buckets: rights that a caller lacks, and policies. No I/O.

Everybody may do everything until somebody is told otherwise. Permissions and the words of a refusal:
https://cloud.google.com/storage/docs/access-control/iam-json (read 2026-11).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import cast

from vertexq.errors import BadInput, Refused

Policy = Mapping[str, object]

PERMISSIONS: Mapping[str, str] = {
    "storage.buckets.get": "storage.buckets.get",
    "storage.buckets.getIamPolicy": "storage.buckets.getIamPolicy",
    "storage.buckets.setIamPolicy": "storage.buckets.setIamPolicy",
    "storage.objects.list": "storage.objects.list",
    "storage.objects.get": "storage.objects.get",
    "storage.objects.download": "storage.objects.get",
    "storage.objects.insert": "storage.objects.create",
    "storage.objects.compose": "storage.objects.create",
    "storage.objects.delete": "storage.objects.delete",
    "storage.objects.patch": "storage.objects.update",
    "storage.objects.update": "storage.objects.update",
}
"""What a caller of a method must have; methods that are not here are open to all."""


def agent(project_number: str) -> str:
    """Return the member that is Vertex AI's service agent of a project."""
    return f"serviceAccount:service-{project_number}@gcp-sa-aiplatform.iam.gserviceaccount.com"


class Access:
    """Rights on buckets; safe to call from any thread.

    What is denied holds for every caller but the simulated Vertex AI, whose service agent goes by the policy.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._denied: dict[str, dict[str, str | None]] = {}
        self._policies: dict[str, Policy] = {}
        self._agents: set[str] = set()

    def deny(self, bucket: str, *permissions: str, except_below: str | None = None) -> None:
        """Take permissions from the callers; below ``except_below``, a prefix of names, they keep them."""
        with self._lock:
            self._denied.setdefault(bucket, {}).update(dict.fromkeys(permissions, except_below))

    def set_policy(self, bucket: str, policy: Policy) -> None:
        """Replace the policy of a bucket; service agents that it does not name cannot write there."""
        with self._lock:
            self._policies[bucket] = dict(policy)

    def clear(self) -> None:
        """Give everybody every right again."""
        with self._lock:
            self._denied.clear()
            self._policies.clear()

    def met(self, project_number: str) -> None:
        """Note a project that uses Vertex AI: from now on it has a service agent."""
        with self._lock:
            self._agents.add(agent(project_number))

    def lacks(self, bucket: str, permission: str, name: str = "") -> bool:
        """Tell whether the callers lack a permission on an object, or on the whole bucket."""
        with self._lock:
            denied = self._denied.get(bucket, {})
            kept_below = denied.get(permission)
            return permission in denied and not (kept_below is not None and name.startswith(kept_below))

    def check(self, bucket: str, method: str, name: str) -> None:
        """Raise ``Refused`` (403) when the callers lack what ``method`` needs."""
        permission = PERMISSIONS.get(method, "")
        if permission and self.lacks(bucket, permission, name):
            kind = permission.split(".")[1].removesuffix("s")
            raise Refused(
                f"caller@simulated-project.iam.gserviceaccount.com does not have {permission} access to the "
                f"Google Cloud Storage {kind}. Permission '{permission}' denied on resource (or it may not "
                "exist).",
                status=403,
                code="forbidden",
            )

    def policy(self, bucket: str) -> Policy:
        """Return a bucket's policy; the one it has from the start names every service agent there is."""
        with self._lock:
            owners = {
                "role": "roles/storage.legacyBucketOwner",
                "members": ["projectOwner:simulated-project"],
            }
            agents = {"role": "roles/storage.objectAdmin", "members": sorted(self._agents)}
            bindings = [owners, *([agents] if self._agents else [])]
            return self._policies.get(bucket, {"version": 1, "etag": "CAE=", "bindings": bindings})

    def agent_may_write(self, bucket: str, project_number: str) -> bool:
        """Tell whether a project's service agent is named in the policy of a bucket, if somebody set one."""
        with self._lock:
            policy = self._policies.get(bucket)
        if policy is None:
            return True
        bindings = cast("list[Mapping[str, object]]", policy.get("bindings", []))
        members = {str(one) for each in bindings for one in cast("list[object]", each.get("members", []))}
        return bool({agent(project_number), "allUsers", "allAuthenticatedUsers"} & members)

    def tell(self, value: object) -> None:
        """Do what ``{"bucket": …, "denied": [permission…], "except_below": …, "policy": {…}}`` says."""
        given = cast("Mapping[str, object]", value) if isinstance(value, dict) else dict[str, object]()
        denied, policy = given.get("denied", []), given.get("policy")
        if not isinstance(bucket := given.get("bucket"), str) or not isinstance(denied, list):
            raise BadInput('access is told as {"bucket": name, "denied": [permission], "policy": {…}}')
        below = given.get("except_below")
        names = [str(one) for one in cast("list[object]", denied)]
        self.deny(bucket, *names, except_below=None if below is None else str(below))
        if isinstance(policy, dict):
            self.set_policy(bucket, cast("Policy", policy))

    def to_json(self) -> dict[str, object]:
        """Return what is denied and which policies were set, by bucket."""
        with self._lock:
            return {
                "denied": {name: dict(rights) for name, rights in self._denied.items()},
                "policies": dict(self._policies),
            }
