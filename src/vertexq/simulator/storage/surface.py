"""The Cloud Storage surface: routes, and Google's way of saying yes and no.

What it speaks is the JSON API, v1: https://docs.cloud.google.com/storage/docs/json_api/v1 (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from aiohttp import web

from vertexq.errors import ApiError, Refused
from vertexq.simulator._suffer import INTERNAL, with_faults
from vertexq.simulator.access import Access
from vertexq.simulator.faults import Action, Fault, Faults
from vertexq.simulator.objects import StoredObject, about_from
from vertexq.simulator.storage.answers import answer, failure, refusal
from vertexq.simulator.storage.conditions import conditions_from, whole_number
from vertexq.simulator.storage.copy import compose, rewrite, rewrite_answer
from vertexq.simulator.storage.download import send
from vertexq.simulator.storage.list import lagging, list_page, listing_from
from vertexq.simulator.storage.objects import ObjectStore
from vertexq.simulator.storage.resumable import Sessions
from vertexq.simulator.storage.upload import media_upload, multipart_upload, read_resource

_Handler = Callable[[web.Request, Fault | None], Awaitable[web.StreamResponse]]
_INSERT = "storage.objects.insert"
_BUCKET = "/storage/v1/b/{bucket}"
_OBJECT = _BUCKET + "/o/{object:.+}"
_ONE_OBJECT = _BUCKET + "/o/{object:[^/]+}"  # where something follows, the name's slashes are escaped
_UPLOAD = "/upload" + _BUCKET + "/o"
_TO = "/b/{to_bucket}/o/{to_object:.+}"


class StorageSurface:
    """Cloud Storage over objects below ``home``.

    With a ``required_token`` every call must bear it; ``buckets`` are there from the start.
    """

    def __init__(
        self,
        *,
        home: Path,
        faults: Faults,
        required_token: str = "",
        buckets: Iterable[str] = (),
        access: Access | None = None,
    ) -> None:
        self._access = access or Access()
        self._home = home
        self._faults = faults
        self._required_token = required_token
        self._buckets = tuple(buckets)
        self._store: ObjectStore | None = None
        self._sessions: Sessions | None = None

    @property
    def store(self) -> ObjectStore:
        """The objects; only between ``start`` and ``stop``."""
        if self._store is None:
            raise RuntimeError("the Cloud Storage surface is not started")
        return self._store

    @property
    def sessions(self) -> Sessions:
        """The resumable uploads; only between ``start`` and ``stop``."""
        if self._sessions is None:
            raise RuntimeError("the Cloud Storage surface is not started")
        return self._sessions

    async def start(self) -> None:
        """Open the index; objects of an earlier run in the same ``home`` are there again."""
        self._home.mkdir(parents=True, exist_ok=True)
        self._store = ObjectStore(self._home)
        self._sessions = Sessions(self._store)
        known = {bucket.name for bucket in self._store.buckets()}
        for name in self._buckets:
            if name not in known:
                self._store.create_bucket(name)

    async def stop(self) -> None:
        """Close every file. Safe to repeat."""
        if self._sessions is not None:
            self._sessions.close()
        if self._store is not None:
            self._store.close()
        self._sessions = self._store = None

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the routes, each under the name its method has in Google's discovery document."""
        named: list[tuple[str, str, str, _Handler]] = [
            ("POST", "/storage/v1/b", "storage.buckets.insert", self._insert_bucket),
            ("GET", "/storage/v1/b", "storage.buckets.list", self._list_buckets),
            ("GET", _BUCKET, "storage.buckets.get", self._get_bucket),
            ("DELETE", _BUCKET, "storage.buckets.delete", self._delete_bucket),
            ("GET", _BUCKET + "/iam", "storage.buckets.getIamPolicy", self._policy),
            ("PUT", _BUCKET + "/iam", "storage.buckets.setIamPolicy", self._set_policy),
            ("GET", _BUCKET + "/iam/testPermissions", "storage.buckets.testIamPermissions", self._rights),
            ("GET", _BUCKET + "/o", "storage.objects.list", self._list),
            ("POST", _UPLOAD, _INSERT, self._insert),
            ("PUT", _UPLOAD, "storage.uploads.put", self._put_piece),
            ("DELETE", _UPLOAD, "storage.uploads.delete", self._cancel_upload),
            ("POST", _ONE_OBJECT + "/compose", "storage.objects.compose", self._compose),
            ("POST", _ONE_OBJECT + "/rewriteTo" + _TO, "storage.objects.rewrite", self._rewrite),
            ("POST", _ONE_OBJECT + "/copyTo" + _TO, "storage.objects.copy", self._copy),
            ("PATCH", _OBJECT, "storage.objects.patch", self._patch),
            ("PUT", _OBJECT, "storage.objects.update", self._update),
            ("DELETE", _OBJECT, "storage.objects.delete", self._delete),
        ]
        routes = [web.route(verb, path, self._bound(name, run)) for verb, path, name, run in named]
        download = self._bound("storage.objects.download", self._download)
        metadata = self._bound("storage.objects.get", self._get)
        either = _by_alt(download, metadata)
        routes += [web.get(prefix + _OBJECT, either, allow_head=False) for prefix in ("", "/download")]
        return routes

    def _bound(self, method: str, run: _Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def checked(request: web.Request, fault: Fault | None) -> web.StreamResponse:
            try:
                self._check_token(request)
                if INTERNAL not in request.headers:
                    self._check_access(request, method)
                return await run(request, fault)
            except ApiError as error:
                return failure(error, request)

        return with_faults(checked, method=method, faults=self._faults, refusal=refusal)

    def _check_token(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        if self._required_token and given != f"Bearer {self._required_token}":
            raise Refused("Invalid Credentials", status=401, code="authError")

    def _check_access(self, request: web.Request, method: str) -> None:
        if method != _INSERT:  # whose name may be in its body
            name = request.match_info.get("object") or request.query.get("prefix") or ""
            self._access.check(request.match_info.get("bucket", ""), method, name)

    async def _policy(self, request: web.Request, _: Fault | None) -> web.Response:
        return self._policy_answer(self.store.bucket(request.match_info["bucket"]).name, request)

    async def _set_policy(self, request: web.Request, _: Fault | None) -> web.Response:
        bucket = self.store.bucket(request.match_info["bucket"]).name
        self._access.set_policy(bucket, {"version": 1, "etag": "CAI=", **read_resource(await request.read())})
        return self._policy_answer(bucket, request)

    def _policy_answer(self, bucket: str, request: web.Request) -> web.Response:
        about = {"kind": "storage#policy", "resourceId": f"projects/_/buckets/{bucket}"}
        return answer({**about, **self._access.policy(bucket)}, request)

    async def _rights(self, request: web.Request, _: Fault | None) -> web.Response:
        bucket = self.store.bucket(request.match_info["bucket"]).name
        asked = request.query.getall("permissions", [])
        if not asked:
            raise Refused("Required parameter: permissions", status=400, code="required")
        held = [one for one in asked if not self._access.lacks(bucket, one)]
        about: dict[str, object] = {"kind": "storage#testIamPermissionsResponse"}
        return answer(about | ({"permissions": held} if held else {}), request)

    async def _insert_bucket(self, request: web.Request, _: Fault | None) -> web.Response:
        body = read_resource(await request.read())
        location = str(body.get("location") or "US")
        bucket = self.store.create_bucket(str(body.get("name") or ""), location=location)
        return answer(bucket.resource(_origin(request)), request)

    async def _list_buckets(self, request: web.Request, _: Fault | None) -> web.Response:
        prefix = request.query.get("prefix", "")
        found = [each for each in self.store.buckets() if each.name.startswith(prefix)]
        items = [bucket.resource(_origin(request)) for bucket in found]
        return answer({"kind": "storage#buckets", "items": items}, request)

    async def _get_bucket(self, request: web.Request, _: Fault | None) -> web.Response:
        bucket = self.store.bucket(request.match_info["bucket"])
        return answer(bucket.resource(_origin(request)), request)

    async def _delete_bucket(self, request: web.Request, _: Fault | None) -> web.Response:
        self.store.drop_bucket(request.match_info["bucket"])
        return web.Response(status=204)

    async def _list(self, request: web.Request, fault: Fault | None) -> web.Response:
        page = list_page(self.store, request.match_info["bucket"], listing_from(request.query))
        if fault is not None and fault.action is Action.OTHER:
            page = lagging(page, fault.note)
        return answer(page.resource(_origin(request)), request)

    async def _insert(self, request: web.Request, fault: Fault | None) -> web.Response:
        kind = request.query.get("uploadType", "")

        def may_create(name: str) -> None:
            if INTERNAL not in request.headers:
                self._access.check(request.match_info["bucket"], _INSERT, name)

        if kind == "resumable":
            return await self.sessions.start(request, may_create)
        if kind not in {"media", "multipart"}:
            raise Refused(f"Invalid upload type: {kind!r}", status=400, code="badRequest")
        upload = media_upload if kind == "media" else multipart_upload
        stored = await upload(self.store, request, fault, may_create)
        return answer(stored.resource(_origin(request)), request)

    async def _put_piece(self, request: web.Request, fault: Fault | None) -> web.Response:
        kept = await self.sessions.put(request, fault)
        if isinstance(kept, StoredObject):
            return answer(kept.resource(_origin(request)), request)
        headers = {"Range": f"bytes=0-{kept - 1}"} if kept else {}
        if request.headers.get("X-GUploader-No-308") == "yes":
            return web.Response(headers={**headers, "X-HTTP-Status-Code-Override": "308"})
        return web.Response(status=308, reason="Resume Incomplete", headers=headers)

    async def _cancel_upload(self, request: web.Request, _: Fault | None) -> web.Response:
        return self.sessions.cancel(request)

    async def _compose(self, request: web.Request, _: Fault | None) -> web.Response:
        bucket, name = _target(request)
        body = read_resource(await request.read())
        conditions = conditions_from(request.query)
        stored = await compose(self.store, bucket=bucket, name=name, body=body, conditions=conditions)
        return answer(stored.resource(_origin(request)), request)

    async def _rewrite(self, request: web.Request, _: Fault | None) -> web.Response:
        return answer(rewrite_answer(await self._copied(request), _origin(request)), request)

    async def _copy(self, request: web.Request, _: Fault | None) -> web.Response:
        return answer((await self._copied(request)).resource(_origin(request)), request)

    async def _copied(self, request: web.Request) -> StoredObject:
        bucket, name = _target(request)
        generation = whole_number(request.query, "sourceGeneration")
        source = self.store.get(bucket, name, generation=generation)
        conditions_from(request.query, prefix="ifSource").check(source)
        return rewrite(
            self.store,
            source,
            bucket=request.match_info["to_bucket"],
            name=request.match_info["to_object"],
            body=read_resource(await request.read()),
            conditions=conditions_from(request.query),
        )

    async def _get(self, request: web.Request, _: Fault | None) -> web.Response:
        stored = self._wanted(request)
        conditions_from(request.query).check_read(stored)
        return answer(stored.resource(_origin(request)), request)

    async def _download(self, request: web.Request, fault: Fault | None) -> web.StreamResponse:
        stored = self._wanted(request)
        conditions_from(request.query).check_read(stored)
        with self.store.open(stored) as content:
            return await send(request, stored, content, fault)

    async def _patch(self, request: web.Request, _: Fault | None) -> web.Response:
        change = read_resource(await request.read())
        stored = self._wanted(request)
        conditions_from(request.query).check(stored)
        return answer(
            self.store.describe(stored, stored.about.patched(change)).resource(_origin(request)), request
        )

    async def _update(self, request: web.Request, _: Fault | None) -> web.Response:
        said = read_resource(await request.read())
        stored = self._wanted(request)
        conditions_from(request.query).check(stored)
        return answer(self.store.describe(stored, about_from(said)).resource(_origin(request)), request)

    async def _delete(self, request: web.Request, _: Fault | None) -> web.Response:
        stored = self._wanted(request)
        conditions_from(request.query).check(stored)
        self.store.delete(stored)
        return web.Response(status=204)

    def _wanted(self, request: web.Request) -> StoredObject:
        bucket, name = _target(request)
        return self.store.get(bucket, name, generation=whole_number(request.query, "generation"))


def _by_alt(
    download: Callable[[web.Request], Awaitable[web.StreamResponse]],
    metadata: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def either(request: web.Request) -> web.StreamResponse:
        return await (download if request.query.get("alt") == "media" else metadata)(request)

    return either


def _target(request: web.Request) -> tuple[str, str]:
    return request.match_info["bucket"], request.match_info["object"]


def _origin(request: web.Request) -> str:
    return str(request.url.origin())
