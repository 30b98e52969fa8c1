"""The version documents, which need no token."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from armillary.cloud.api.compute.deps import BaseUrl

MAXIMUM = 93
router = APIRouter()


def _v21(base_url: str) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": f"2.{MAXIMUM}",
        "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": f"{base_url}/v2.1/"}],
    }


def _v20(base_url: str) -> dict[str, Any]:
    return {
        "id": "v2.0",
        "status": "SUPPORTED",
        "version": "",
        "min_version": "",
        "updated": "2011-01-21T11:33:21Z",
        "links": [{"rel": "self", "href": f"{base_url}/v2/"}],
    }


def _document(version: dict[str, Any], kind: str) -> dict[str, Any]:
    described = {"rel": "describedby", "type": "text/html", "href": "http://docs.openstack.org/"}
    kinds = [{"base": "application/json", "type": f"application/vnd.openstack.compute+json;version={kind}"}]
    return {"version": {**version, "links": [*version["links"], described], "media-types": kinds}}


@router.get("/")
@router.get("")
def list_versions(base_url: BaseUrl) -> dict[str, Any]:
    return {"versions": [_v20(base_url), _v21(base_url)]}


@router.get("/v2.1/")
@router.get("/v2.1")
def show_version(base_url: BaseUrl) -> dict[str, Any]:
    return _document(_v21(base_url), "2.1")


@router.get("/v2/")
@router.get("/v2")
def show_old_version(base_url: BaseUrl) -> dict[str, Any]:
    return _document(_v20(base_url), "2")
