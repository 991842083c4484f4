"""Give each test a platform of its own on the one real broker of the run, told apart by its prefix."""

import itertools
from pathlib import Path

from seamwork.broker.embedded import BrokerHandle, ensure_broker
from seamwork.broker.principal import Principal, standing, topic_name, user_name
from seamwork.broker.registrar import Registrar
from seamwork.broker.secret import Credential, CredentialStore
from seamwork.broker.topics import Sizing
from seamwork.errors import UnprocessableError
from seamwork.settings.kafka import KafkaAccess


class KafkaPlatform:
    """
    One platform on the testbed's broker: topics, principals and rights as a real one has them.

    Attributes:
        prefix: Begins every name on the wire; no other test has it.
        admin: The way in as the broker's super user.
        registrar: Makes more of what the platform has.
    """

    def __init__(self, broker: BrokerHandle, prefix: str, folder: Path, sizing: Sizing) -> None:
        self.prefix = prefix
        self.admin = broker.admin
        self.registrar = Registrar(broker.admin, prefix=prefix, sizing=sizing)
        self.store = CredentialStore(folder)
        self._broker = broker
        self._credentials: dict[str, Credential] = {}

    @property
    def bootstrap(self) -> str:
        """The broker's address, ``host:port``."""
        return self._broker.bootstrap

    @property
    def principals(self) -> set[str]:
        """The names of everybody who can log in, the super user aside."""
        return set(self._credentials)

    def join(self, *principals: Principal) -> None:
        """Furnish the platform for these principals; they can be used when this returns."""
        self._credentials |= self.registrar.furnish(principals, self.store)

    def access(self, name: str) -> KafkaAccess:
        """Return the way in as the principal *name*: ``router``, ``people``, ``agent-parser``."""
        credential = self._credentials.get(name)
        if credential is None:
            known = ", ".join(sorted(self._credentials))
            raise UnprocessableError(f"platform {self.prefix} has no principal {name}; it has {known}")
        return self._broker.access(credential)

    def topic(self, name: str) -> str:
        """Return a topic's name on the wire."""
        return topic_name(self.prefix, name)

    def user(self, name: str) -> str:
        """Return a principal's user name at the broker."""
        return user_name(self.prefix, name)


class KafkaTestbed:
    """
    A real, secured Kafka for one test run.

    Attributes:
        broker: The embedded broker; stop or signal it only in a test that has one of its own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self.broker = ensure_broker(folder)

    @property
    def bootstrap(self) -> str:
        """The broker's address, ``host:port``."""
        return self.broker.bootstrap

    @property
    def admin(self) -> KafkaAccess:
        """The way in as the broker's super user."""
        return self.broker.admin

    def platform(self, *joining: Principal, sizing: Sizing | None = None) -> KafkaPlatform:
        """
        Make a fresh platform, which takes about half a second.

        Args:
            joining: Agents and further gates, besides those that every platform has.
            sizing: Partitions and retention; four crossing partitions unless given.
        """
        prefix = f"t{next(self._numbers)}"
        folder = self._folder / "platforms" / prefix
        platform = KafkaPlatform(self.broker, prefix, folder, Sizing() if sizing is None else sizing)
        platform.join(*standing(), *joining)
        return platform

    def close(self) -> None:
        """Stop the broker."""
        self.broker.stop()
