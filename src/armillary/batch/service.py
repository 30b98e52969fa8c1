"""The batch service: what people do with jobs, with who may do it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from armillary.accounts.model import Person, Principal, Project, Role
from armillary.base.bell import Bell
from armillary.base.clock import Clock
from armillary.base.errors import Forbidden, Invalid, NotFound
from armillary.base.ids import ClusterId, WorkerId
from armillary.batch.explaining import Explainer, Waits, nothing_waits
from armillary.batch.holdings import Holdings
from armillary.batch.intake import SubmitRequest, with_inputs
from armillary.batch.logs import FoundLine, LogFolder, Piece, search
from armillary.batch.matching import Matcher
from armillary.batch.model import Group, JobId, JobState, Refusal, Selection, Submission, Wishes
from armillary.batch.policy.service import check_policies
from armillary.batch.ports import Clouds, Engine, People, Spool
from armillary.batch.seeing import need_write, scope_of
from armillary.batch.sizes import check_memory, check_sizes, flavors_named, warnings
from armillary.batch.store.fleet_records import FleetRecords
from armillary.batch.store.records import Records, Scope
from armillary.batch.views import (
    ClusterView,
    EventView,
    ImageView,
    JobDetail,
    JobView,
    KindView,
    OutputView,
    WorkerView,
)
from armillary.notices.webhook import check_url


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """What was queued."""

    cluster: int
    jobs: int
    image: ImageView
    flavor: str
    project: str
    warnings: Sequence[str]


Warn = Callable[[Wishes, Person], list[str]]
Stir = Callable[[Sequence[WorkerId]], None]


def nothing_to_say(_wishes: Wishes, _who: Person) -> list[str]:
    """Warn of nothing."""
    return []


class BatchService:
    """Jobs for people. Members of a project see all of its jobs; owners and managers change them."""

    def __init__(
        self,
        *,
        engine: Engine,
        records: Records,
        fleet_records: FleetRecords,
        spool: Spool,
        files: Holdings,
        logs: LogFolder,
        clouds: Clouds,
        people: People,
        clock: Clock,
        bell: Bell,
        warn: Warn = nothing_to_say,
        stir: Stir = lambda _workers: None,
        matcher: Matcher | None = None,
        waits: Waits = nothing_waits,
    ) -> None:
        """`warn` says what a submit wishes that will not happen on this platform; `stir` has workers look at once."""
        self._engine = engine
        self._records = records
        self._fleet_records = fleet_records
        self._spool = spool
        self._files = files
        self._logs = logs
        self._clouds = clouds
        self._people = people
        self._bell = bell
        self._warn = warn
        self._stir = stir
        self._explainer = Explainer(
            records=records, fleet_records=fleet_records, clock=clock, matcher=matcher, waits=waits
        )

    @property
    def bell(self) -> Bell:
        """Rings `("cluster", id)` when a job of a submit changes."""
        return self._bell

    @property
    def spool(self) -> Spool:
        """All bytes by their digests, for those who have looked who may read them."""
        return self._spool

    @property
    def files(self) -> Holdings:
        """Where the files of submits are sent before."""
        return self._files

    def submit(self, who: Principal, request: SubmitRequest) -> Submitted:
        """Check a submit, bind it to the image's digest, and queue its jobs: all of them, durably, or none.

        Raises NotFound, Forbidden or Invalid with the job's number and the remedy.
        """
        project = self._project(who, request.project)
        jobs = with_inputs(request.jobs, request.files)
        image = self._clouds.find_image(project, request.image)
        if image.sha512 is None:
            raise Invalid(
                f"image {image.name} has no digest yet",
                code="image_not_ready",
                facts={"image": image.id, "status": image.status},
                remedy="Wait until the image is active.",
            )
        flavors = flavors_named(self._clouds, project, request.flavor)
        check_sizes(image, jobs, flavors)
        check_policies(jobs)
        if request.wishes.notify_url is not None:
            check_url(request.wishes.notify_url)
        self._files.check(who, request.files)
        group = Group(project.id, image.sha512, request.flavor)
        cluster = self._engine.submit(
            Submission(
                group=group,
                owner=who.person.id,
                owner_name=who.person.user_name,
                project_name=project.name,
                image_name=image.name,
                batch_name=request.batch_name,
                submit_text=request.submit_text,
                jobs=jobs,
                idempotency_key=request.idempotency_key,
                request_hash=request.request_hash,
                wishes=request.wishes,
            )
        )
        self._bell.ring(("work", group), ("cluster", cluster))
        return Submitted(
            cluster=cluster,
            jobs=len(jobs),
            image=ImageView(name=image.name, sha512=image.sha512),
            flavor=group.flavor,
            project=project.name,
            warnings=[*warnings(project, flavors), *self._warn(request.wishes, who.person)],
        )

    # reading

    def clusters(
        self, who: Principal, *, limit: int, before: int | None = None, image: str | None = None
    ) -> list[ClusterView]:
        """Return the submits of the caller's projects, newest first; those on one image, by its digest."""
        return self._records.clusters(self._scope(who), limit=limit, before=before, image=image)

    def cluster(self, who: Principal, cluster: ClusterId) -> ClusterView:
        """Return one submit."""
        return self._records.cluster(self._scope(who), cluster)

    def jobs(
        self,
        who: Principal,
        *,
        limit: int,
        cluster: ClusterId | None = None,
        states: Sequence[str] = (),
        after: JobId | None = None,
        owner: str | None = None,
        project: str | None = None,
        with_spec: bool = False,
    ) -> list[JobView]:
        """Return the jobs of the caller's projects, in order of their names."""
        return self._records.jobs(
            self._scope(who),
            limit=limit,
            cluster=cluster,
            states=states,
            after=after,
            owner=owner,
            project=project,
            with_spec=with_spec,
        )

    def job(self, who: Principal, job: JobId) -> JobDetail:
        """Return one job with its history."""
        return self._records.job(self._scope(who), job)

    def workers(
        self, who: Principal, *, limit: int, marker: str | None = None, gone: bool = False
    ) -> list[WorkerView]:
        """Return the worker machines of the caller's projects, newest first."""
        return self._records.workers(self._scope(who), limit=limit, marker=marker, gone=gone)

    def events(
        self, who: Principal, cluster: ClusterId, *, after: int, limit: int
    ) -> tuple[list[EventView], int]:
        """Return changes of a submit's jobs after a sequence number, and how many jobs are not over."""
        self._records.owner_of(self._scope(who), cluster)
        active = self._records.active(cluster)
        # Read after the count: when it is 0, the last change is among these or was fetched before.
        changes = self._engine.changes(after=after, cluster=cluster, limit=limit)
        return self._records.dress(changes), active

    def read_log(
        self,
        who: Principal,
        job: JobId,
        stream: str,
        *,
        offset: int,
        attempt: int | None = None,
        limit: int = 2**20,
    ) -> tuple[Piece, bool]:
        """Return bytes of a stream, live or kept, and whether the stream has come to its end."""
        detail = self.job(who, job)
        number = attempt or detail.committed_attempt or detail.view.attempts
        if number == 0:
            return Piece(offset=0, data=b"", size=0), not JobState(detail.view.state).active
        piece = self._logs.read(job, number, stream, offset=offset, limit=limit)
        return piece, number != detail.live_attempt and (
            attempt is not None or not JobState(detail.view.state).active
        )

    def search_log(
        self,
        who: Principal,
        job: JobId,
        stream: str,
        wanted: str,
        *,
        attempt: int | None = None,
        most: int = 200,
    ) -> list[FoundLine]:
        """Return the first lines of a stream, live or kept, that have a text in them."""
        self.job(who, job)
        return search(
            lambda offset: self.read_log(who, job, stream, offset=offset, attempt=attempt)[0],
            wanted,
            most=most,
        )

    def output(self, who: Principal, job: JobId, name: str) -> tuple[OutputView, Path]:
        """Return a file that the job brought back, and where its bytes are."""
        for output in self.job(who, job).outputs:
            if output.name == name:
                return output, self._spool.path(output.sha256)
        raise NotFound(
            f"job {job} has no output {name}", code="output_not_found", facts={"job": str(job), "name": name}
        )

    def explain(self, who: Principal, job: JobId) -> tuple[str, list[Refusal]]:
        """Return the job's state and every reason for it."""
        detail = self.job(who, job)
        return detail.view.state, self._explainer.explain(job, detail)

    def explain_cluster(
        self, who: Principal, cluster: ClusterId, *, limit: int = 20
    ) -> tuple[ClusterView, list[tuple[KindView, list[Refusal]]]]:
        """Return how a submit stands, and of each kind of jobs that do not run every reason of the first."""
        shown = self.cluster(who, cluster)
        return shown, [
            (kind, self.explain(who, JobId.parse(kind.job))[1])
            for kind in self._records.kinds(cluster, limit=limit)
        ]

    # changing

    def select(
        self, who: Principal, chosen: Selection, *, owner: str | None = None, project: str | None = None
    ) -> Selection:
        """Return a selection with its owner and project by their names.

        Raises Invalid `empty_selection` when it names no job, cluster, owner or project.
        """
        if chosen.cluster is None and owner is None and project is None:
            raise Invalid(
                "this would be all jobs there are",
                code="empty_selection",
                facts={"field": "selection"},
                remedy="Name a job, a cluster, an owner or a project.",
            )
        scope = self._scope(who)
        return replace(
            chosen,
            owner=None if owner is None else self._records.owner_named(scope, owner),
            projects=None if project is None else (self._records.project_named(scope, project),),
        )

    def hold(self, who: Principal, jobs: Selection, *, reason: str = "") -> int:
        """Put jobs on hold; running ones are stopped. Returns how many changed."""
        jobs = self._narrowed(who, jobs)
        return self._changed(jobs, self._engine.hold(jobs, reason=reason), stops=True)

    def release(self, who: Principal, jobs: Selection, *, memory_mib: int | None = None) -> int:
        """Queue held jobs again; with `memory_mib` they ask for so much from now on. Raises Invalid for too much."""
        jobs = self._narrowed(who, jobs)
        if memory_mib is not None and jobs.cluster is not None:
            shown = self._records.cluster(self._scope(who), jobs.cluster)
            project = self._people.project(self._records.owner_of(None, jobs.cluster)[1])
            check_memory(memory_mib, flavors_named(self._clouds, project, shown.flavor))
        return self._changed(jobs, self._engine.release(jobs, memory_mib=memory_mib))

    def remove(self, who: Principal, jobs: Selection, *, reason: str = "") -> int:
        """Take jobs out for good."""
        jobs = self._narrowed(who, jobs)
        return self._changed(jobs, self._engine.remove(jobs, reason=reason), stops=True)

    def retry(self, who: Principal, jobs: Selection) -> int:
        """Run again what failed or was removed."""
        jobs = self._narrowed(who, jobs)
        return self._changed(jobs, self._engine.retry(jobs))

    def prioritize(self, who: Principal, jobs: Selection, priority: int) -> int:
        """Give jobs that are not over another priority among their owner's."""
        jobs = self._narrowed(who, jobs)
        return self._changed(jobs, self._engine.prioritize(jobs, priority))

    def _changed(self, jobs: Selection, count: int, *, stops: bool = False) -> int:
        if count:
            clusters = [] if jobs.cluster is None else [("cluster", jobs.cluster)]
            self._bell.ring("work", *clusters)
            if stops:
                self._stir(self._fleet_records.stopping())
        return count

    def _narrowed(self, who: Principal, jobs: Selection) -> Selection:
        """Return what of a selection the caller may change. Raises Forbidden when it is somebody else's."""
        need_write(who)
        scope = self._scope(who)
        if jobs.cluster is not None:
            owner, project = self._records.owner_of(scope, jobs.cluster)
            projects = [project]
        else:
            owner = jobs.owner
            if jobs.projects is not None:
                scope = [one for one in jobs.projects if scope is None or one in scope]
            projects = scope
        jobs = replace(jobs, projects=None if projects is None else tuple(projects))
        if who.person.is_admin or owner == who.person.id:
            return jobs
        managed = {
            membership.project.id
            for membership in self._people.projects_of(who.person.id)
            if Role.MANAGER in membership.role.implied
        }
        if projects and managed.issuperset(projects):
            return jobs
        if owner is not None:
            raise Forbidden(
                f"job {jobs.name} is not yours",
                code="not_your_job",
                facts={"job": jobs.name},
                remedy="Ask its owner or an administrator of the project.",
            )
        return replace(jobs, owner=who.person.id)

    def _scope(self, who: Principal) -> Scope:
        return scope_of(who, self._people)

    def _project(self, who: Principal, name: str) -> Project:
        need_write(who)
        bound = who.token.project_id if who.token else None
        for membership in self._people.projects_of(who.person.id):
            project = membership.project
            if name not in (project.name, project.id) or bound not in (None, project.id):
                continue
            if Role.MEMBER not in membership.role.implied:
                raise Forbidden(
                    f"a reader of project {project.name} may not submit jobs",
                    code="role_missing",
                    facts={"project": project.name, "role": membership.role.value},
                    remedy="Ask an administrator of the project to make you a member.",
                )
            return project
        raise NotFound(
            f"you have no project {name}",
            code="project_not_found",
            facts={"project": name},
            remedy="Name one of your projects.",
        )
