"""One frozen settings object: conf/default.toml < --conf file < environment < command line."""

import fcntl
import os
import secrets
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from meterlake.errors import Unreachable, UsageError


def _project() -> Path:
    """The folder that holds conf/: METERLAKE_PROJECT, else two above this file, else (in a zip) where we stand."""
    if given := os.environ.get("METERLAKE_PROJECT"):
        return Path(given).resolve()
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "conf").is_dir() else Path.cwd()


PROJECT = _project()
DEFAULT_CONF = PROJECT / "conf" / "default.toml"
# The one of S3 itself; a store that is not AWS's mostly takes any.
USUAL_REGION = "us-east-1"
S3_SCHEMES = ("s3a://", "s3://")  # Hadoop's name, and everybody else's


class Section(BaseModel):
    """A group of settings: frozen, and an unknown name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Spark(Section):
    master: str
    driver_memory: str
    partition_bytes: int


class Lake(Section):
    root: str


class S3(Section):
    """Where the object store is. Its keys are secrets: see object_store.py."""

    endpoint: str
    region: str

    @property
    def variables(self) -> dict[str, str]:
        """The same as AWS's own tools, and with them Arrow, find it in the environment."""
        region = self.region or (USUAL_REGION if self.endpoint else "")
        named = {"AWS_ENDPOINT_URL_S3": self.endpoint, "AWS_REGION": region}
        return {name: value for name, value in named.items() if value}


class Quality(Section):
    alert_share: float
    webhook: str


class Model(Section):
    contamination: float
    base_rate: float
    day_alarm_share: float
    threshold: float
    trees: int
    subsample: int
    training_rows: int
    seed: int


class Mlflow(Section):
    tracking_uri: str


class Store(Section):
    """Where a serving store listens. Its passwords are secrets: see `Settings.secret`.

    With `tls` the server's certificate and its name in it are always verified: by the certificates in the file `ca`, or
    by those that the system trusts where it is "".
    """

    embedded: bool
    host: str
    port: int
    database: str
    user: str
    reader: str
    native_port: int | None = None
    tls: bool = False
    ca: str = ""

    @model_validator(mode="after")
    def _tls_can_be(self) -> "Store":
        if self.tls and self.embedded:
            raise ValueError("an embedded server has no TLS (it listens on loopback); set embedded or tls to false")
        if self.tls and self.ca and not Path(self.ca).is_file():
            raise ValueError(f"the file {self.ca} of certificates (ca) is not there")
        return self


# A prefix of their own keeps them apart from the servers' logins (postgres, default) and from other programs' roles.
LoginName = Annotated[str, StringConstraints(pattern=r"^meterlake_[a-z0-9_]{1,40}$")]


class Login(Section):
    """Somebody who may read from both stores: in which role, and of which regions the rows (None: of all)."""

    role: Literal["reader", "analyst", "data_scientist", "auditor"]
    regions: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _what_is_audited_has_no_region(self) -> "Login":
        if self.role == "auditor" and self.regions is not None:
            raise ValueError("an auditor has no regions: what ran, and who asked for what, is of all of them")
        return self


class Serving(Section):
    """How marts get into the stores, and logins beside the writer (`user`) and the dashboards (`reader`) of each."""

    loader: Literal["native", "jdbc"]
    logins: dict[LoginName, Login]


class Settings(Section):
    home: Path
    spark: Spark
    lake: Lake
    s3: S3
    quality: Quality
    model: Model
    mlflow: Mlflow
    postgres: Store
    clickhouse: Store
    serving: Serving

    @model_validator(mode="after")
    def _a_login_is_one_of_its_store(self) -> "Settings":
        for store in (self.postgres, self.clickhouse):
            if taken := {store.user, store.reader} & set(self.serving.logins):
                raise ValueError(f"serving.logins.{min(taken)} is the name of a store's writer or reader")
        return self

    @property
    def lake_root(self) -> str:
        """Root of the Delta tables: `<root>/<layer>/<table>`."""
        return self.lake.root.rstrip("/") or str(self.home / "lake")

    @property
    def uses_s3(self) -> bool:
        """Whether the lake, or (when a region or an end point is named) deliveries lie in an object store."""
        return self.lake_root.startswith(S3_SCHEMES) or bool(self.s3.region or self.s3.endpoint)

    @property
    def tracking_uri(self) -> str:
        return self.mlflow.tracking_uri or f"sqlite:///{self.home / 'mlflow' / 'mlflow.db'}"

    def folder(self, name: str) -> Path:
        """A folder of the home (`reports`, `logs`, ...), made when it is missing."""
        path = self.home / name
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unreachable(f"{path} cannot be made ({error.strerror}); choose another folder with --home.") from None
        return path

    def secret(self, name: str) -> str:
        """A password: METERLAKE_SECRET_<NAME>, else <home>/secrets/<name> (mode 600), made at random when missing."""
        if value := os.environ.get(f"METERLAKE_SECRET_{name.upper()}"):
            return value
        return self._kept(self.folder("secrets") / name)

    @property
    def identity(self) -> str:
        """A name of this home that no other has; it moves with the folder."""
        return self._kept(self.folder(".") / "identity")

    def _kept(self, file: Path) -> str:
        """What stands in a file of mode 600, made at random when missing."""
        if not file.exists():
            # Both stores ask for the key of pseudonyms at once: the first one makes it, the other takes the same.
            with _alone_in(file.parent):
                if not file.exists():
                    _made_at_random(file)
        return file.read_text().strip()


def _made_at_random(file: Path) -> None:
    # Under its name only when it is whole: a full disk must not leave an empty password.
    scratch = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(secrets.token_urlsafe(24))
    os.replace(scratch, file)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """The block waits for all others, of other threads and processes, in the same folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def load(conf: Path | None = None, home: Path | None = None) -> Settings:
    """Settings for this process, whose environment is told where the object store is: Arrow looks there.

    Raises:
        UsageError: a file is missing or unreadable, or a name or value in it is wrong.
    """
    values = read_toml(DEFAULT_CONF)
    if conf := conf or _path(os.environ.get("METERLAKE_CONF")):
        values = _merged(values, read_toml(conf))
    values = _merged(values, _from_environment(values))
    home = home or _path(os.environ.get("METERLAKE_HOME")) or _path(values.get("home")) or PROJECT / ".meterlake"
    values["home"] = home.expanduser().resolve()
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        where = _variable(error) or conf or DEFAULT_CONF
        raise UsageError(f"{where}: {first_problem(error)}; correct it and run again.") from None
    os.environ.update(settings.s3.variables)
    return settings


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dictionary; what is wrong with it is told in one sentence."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); check the path.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML ({error}); correct it and run again.") from None


def first_problem(error: ValidationError) -> str:
    """The first complaint of pydantic as words: `name: what is wrong (got value)`."""
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"]) or "declaration"
    message = problem["msg"].removeprefix("Value error, ").replace("Extra inputs are not permitted", "unknown name")
    got = "" if problem["type"] in ("missing", "value_error") else f" (got {problem['input']!r})"
    return f"{name}: {message}{got}"


def _variable(error: ValidationError) -> str | None:
    """The environment variable that the first wrong value comes from; None when it stands in a file."""
    name = "_".join(("METERLAKE", *map(str, error.errors()[0]["loc"]))).upper()
    return name if name in os.environ else None


def _path(value: str | None) -> Path | None:
    return Path(value) if value else None


def _merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        merged[name] = (
            _merged(base[name], value) if isinstance(base.get(name), dict) and isinstance(value, dict) else value
        )
    return merged


def _from_environment(values: dict[str, Any]) -> dict[str, Any]:
    """METERLAKE_SPARK_MASTER -> {"spark": {"master": ...}} for every name that the files know."""
    found: dict[str, Any] = {}
    for section, names in values.items():
        for name in names if isinstance(names, dict) else ():
            if (value := os.environ.get(f"METERLAKE_{section}_{name}".upper())) is not None:
                found.setdefault(section, {})[name] = value
    return found
