"""
Furnish a Kafka with a platform's topics, credentials and rights.

The registrar is the only one that may. It is idempotent: what is there already stays, what is missing is
made, a right that a principal no longer has by the topic files is taken away. It acts for the principals it
is given and leaves all others alone, so one agent can be added without knowing the rest.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, cast

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from seamwork.broker.acls import Acl, acls
from seamwork.broker.principal import Principal, checked_prefix
from seamwork.broker.secret import Credential, CredentialStore, new_password
from seamwork.broker.topics import Sizing, Topic, TopicSpec, load_topic_specs, topics
from seamwork.errors import MisconfiguredError, RetryableError
from seamwork.settings.kafka import KafkaAccess

_ANSWER_WITHIN_S = 30.0
_VISIBLE_WITHIN_S = 30.0
_POLL_S = 0.02
# Kafka's least. Stretching helps passwords that can be guessed; ours are 192 random bits.
_ITERATIONS = 4096
_SCRAM = {
    "SCRAM-SHA-256": ScramMechanism.SCRAM_SHA_256,
    "SCRAM-SHA-512": ScramMechanism.SCRAM_SHA_512,
}

Rule = Any
"""An ``AclBinding`` as a broker answers; upstream's stubs take its parts for what may be asked for as well."""


class Registrar:
    """Makes what a platform needs at a broker, as its super user."""

    def __init__(
        self,
        access: KafkaAccess,
        *,
        prefix: str,
        sizing: Sizing | None = None,
        specs: tuple[TopicSpec, ...] | None = None,
    ) -> None:
        self.prefix = checked_prefix(prefix)
        self.specs = load_topic_specs() if specs is None else specs
        self._access = access
        self._scram = _SCRAM[access.scram]
        self._sizing = Sizing() if sizing is None else sizing
        if access.has_tls:
            access.tls()
        self._admin = AdminClient({**access.confluent(), "log_level": 0})

    def furnish(self, principals: Iterable[Principal], credentials: CredentialStore) -> dict[str, Credential]:
        """
        Make topics, credentials and rights of these principals, and return when the broker applies them.

        Args:
            principals: All of them at first (``standing()``), later those who join.
            credentials: Where passwords are kept; missing ones are made.

        Returns:
            The credential of each principal by the principal's name.

        Raises:
            MisconfiguredError: A topic is there with another partition count, or the broker refuses.
            RetryableError: The broker did not answer in time.
        """
        present = tuple(principals)
        self._create_topics(topics(self.specs, present, prefix=self.prefix, sizing=self._sizing))
        made = self._create_credentials(present, credentials)
        self._set_rights(present)
        return made

    def dismiss(self, principal: Principal) -> None:
        """Take a principal's rights and its credential away; its topics stay, for the audit."""
        user = principal.user(self.prefix)
        self._drop(self._bindings(user))
        for mechanism in self._mechanisms([user])[user]:
            deletion = UserScramCredentialDeletion(user, mechanism)
            _all(self._admin.alter_user_scram_credentials([deletion]), "remove a credential")
        self._await(lambda: not self._bindings(user), "the removal of rights")

    def departures(self, principals: Iterable[Principal]) -> tuple[str, ...]:
        """
        Say where the broker is not as the topic files want it for these principals; change nothing.

        Returns:
            A line for each topic, setting, right and credential that is missing, other, or too much; and for each
            rule at the broker that says something else than what the topic files can say: that somebody may not, or
            from one host alone, or that everybody may.

        Raises:
            MisconfiguredError: The broker refuses.
            RetryableError: The broker did not answer in time.
        """
        present = tuple(principals)
        wanted = topics(self.specs, present, prefix=self.prefix, sizing=self._sizing)
        listed = self._listed()
        found = [f"topic {topic.name} is missing" for topic in wanted if topic.name not in listed]
        there = [topic for topic in wanted if topic.name in listed]
        found += [
            f"topic {topic.name} has {listed[topic.name]} partitions, not {topic.partitions}"
            for topic in there
            if listed[topic.name] != topic.partitions
        ]
        for topic, entries in self._other_configs(there):
            found += [f"topic {topic.name} has another {entry.name} than {entry.value}" for entry in entries]
        users = {principal.user(self.prefix) for principal in present}
        rights = acls(self.specs, present, prefix=self.prefix)
        bindings = self._bindings()
        held = {_acl(one) for one in bindings if _is_plain(one) and _user(one) in users}
        found += [f"{_told(acl)} is missing" for acl in sorted(rights - held)]
        found += [f"{_told(acl)} is too much" for acl in sorted(held - rights)]
        strange = (
            one for one in bindings
            if (_user(one) in users and not _is_plain(one)) or self._is_everybodys(one)
        )  # fmt: skip
        found += sorted(map(_rule, strange))
        unknown = users - self._known_users(sorted(users))
        return (*found, *(f"the credential of {user} is missing" for user in sorted(unknown)))

    def _create_topics(self, wanted: tuple[Topic, ...]) -> None:
        listed = self._listed()
        missing = [topic for topic in wanted if topic.name not in listed]
        for topic in wanted:
            if topic.name in listed and listed[topic.name] != topic.partitions:
                raise MisconfiguredError(
                    f"topic {topic.name} has {listed[topic.name]} partitions and {topic.partitions} are wanted; a "
                    "topic is never repartitioned, because keys would change their place. Set the count back, or "
                    "begin a platform with another prefix"
                )
        if missing:
            new = [
                NewTopic(topic.name, topic.partitions, topic.replication, config=dict(topic.config))
                for topic in missing
            ]
            futures = self._admin.create_topics(new, request_timeout=_ANSWER_WITHIN_S)
            _all(futures, "create topics", fine=KafkaError.TOPIC_ALREADY_EXISTS)
        self._correct_configs([topic for topic in wanted if topic.name in listed])
        names = {topic.name for topic in missing}
        self._await(lambda: names <= set(self._listed()), "new topics")

    def _correct_configs(self, present: list[Topic]) -> None:
        changes = [
            ConfigResource(ConfigResource.Type.TOPIC, topic.name, incremental_configs=different)
            for topic, different in self._other_configs(present)
        ]
        if changes:
            _all(self._admin.incremental_alter_configs(changes), "correct the set-up of topics")

    def _other_configs(self, present: list[Topic]) -> list[tuple[Topic, list[ConfigEntry]]]:
        """Return, of each topic whose settings are not those of its file, the entries that would correct them."""
        if not present:
            return []
        asked = [ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in present]
        answers = self._admin.describe_configs(asked, request_timeout=_ANSWER_WITHIN_S)
        stored = {
            resource.name: answer for resource, answer in _all(answers, "read the set-up of topics").items()
        }
        found = []
        for topic in present:
            different = [
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in topic.config
                if stored[topic.name][name].value != value
            ]
            if different:
                found.append((topic, different))
        return found

    def _create_credentials(
        self, principals: tuple[Principal, ...], store: CredentialStore
    ) -> dict[str, Credential]:
        users = {principal.user(self.prefix): principal.name for principal in principals}
        kept = {user: store.load(user) for user in sorted(users)}
        made = {user: credential or Credential(user, new_password()) for user, credential in kept.items()}
        # A password that was just made replaces one whose file was lost.
        new = {user for user, credential in kept.items() if credential is None}
        outdated = new | (set(users) - self._known_users(list(users)))
        info = ScramCredentialInfo(self._scram, _ITERATIONS)
        changes: list[UserScramCredentialAlteration] = [
            UserScramCredentialUpsertion(credential.username, info, credential.password.encode())
            for credential in made.values()
            if credential.username in outdated
        ]
        if changes:
            _all(self._admin.alter_user_scram_credentials(changes), "create credentials")
            self._await(lambda: set(users) == self._known_users(list(users)), "new credentials")
        # Only now: a file that is there says that the broker knows the password. After a crash between the two it
        # is made anew; in the other order it would stay, and never fit.
        for user in sorted(new):
            store.keep(made[user])
        return {users[user]: credential for user, credential in made.items()}

    def _set_rights(self, principals: tuple[Principal, ...]) -> None:
        wanted = acls(self.specs, principals, prefix=self.prefix)
        users = {principal.user(self.prefix) for principal in principals}
        ours = [one for one in self._bindings() if _user(one) in users]
        missing = wanted - {_acl(one) for one in ours if _is_plain(one)}
        if missing:
            _all(self._admin.create_acls([_binding(acl) for acl in sorted(missing)]), "create rights")
        self._drop(one for one in ours if not _is_plain(one) or _acl(one) not in wanted)

        def applied() -> bool:
            present = [one for one in self._bindings() if _user(one) in users]
            return all(map(_is_plain, present)) and wanted == set(map(_acl, present))

        self._await(applied, "the new rights")

    def _drop(self, unwanted: Iterable[Rule]) -> None:
        filters = [_filter(one) for one in unwanted]
        if filters:
            _all(self._admin.delete_acls(filters), "remove rights")

    def _is_everybodys(self, binding: Rule) -> bool:
        """Whether a rule lets everybody do something to this platform's topics or groups; to look is nothing."""
        own = f"{self.prefix}."
        touches = (
            binding.name == "*" or binding.name.startswith(own)
            or (binding.resource_pattern_type == ResourcePatternType.PREFIXED and own.startswith(binding.name))
        )  # fmt: skip
        return (
            _user(binding) == "*"
            and binding.permission_type == AclPermissionType.ALLOW
            and binding.restype in (ResourceType.TOPIC, ResourceType.GROUP)
            and binding.operation not in (AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)
            and touches
        )

    def _bindings(self, user: str | None = None) -> list[Rule]:
        # None stands for any; upstream's stubs know only strings.
        who: Any = None if user is None else f"User:{user}"
        any_of: Any = None
        every = AclBindingFilter(
            ResourceType.ANY,
            any_of,
            ResourcePatternType.ANY,
            who,
            any_of,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        return list(_one(self._admin.describe_acls(every, request_timeout=_ANSWER_WITHIN_S), "read rights"))

    def _known_users(self, users: list[str]) -> set[str]:
        return {user for user, known_by in self._mechanisms(users).items() if self._scram in known_by}

    def _mechanisms(self, users: list[str]) -> dict[str, set[ScramMechanism]]:
        """Return by what each user may prove itself, as far as the cluster keeps it."""
        answers = self._admin.describe_user_scram_credentials(users, request_timeout=_ANSWER_WITHIN_S)
        found: dict[str, set[ScramMechanism]] = {}
        for user, future in cast("dict[str, Future[Any]]", answers).items():
            error = _error(future, "read credentials")
            if error is not None and _code(error) == KafkaError.RESOURCE_NOT_FOUND:
                found[user] = set()
            else:
                described = _one(future, "read credentials")
                found[user] = {info.mechanism for info in described.scram_credential_infos}
        return found

    def _listed(self) -> dict[str, int]:
        try:
            listed = self._admin.list_topics(timeout=_ANSWER_WITHIN_S).topics
        except KafkaException as error:
            raise _failure(error, "list topics") from error
        return {name: len(topic.partitions) for name, topic in listed.items()}

    def _await(self, is_so: Callable[[], bool], what: str) -> None:
        # The controller has stored it when it answers; the broker applies it a moment later.
        deadline = time.monotonic() + _VISIBLE_WITHIN_S
        while not is_so():
            if time.monotonic() > deadline:
                raise RetryableError(
                    f"the broker at {self._access.bootstrap} did not apply {what} within "
                    f"{_VISIBLE_WITHIN_S:.0f} s; look at its log and try again"
                )
            time.sleep(_POLL_S)


def _told(acl: Acl) -> str:
    return f"the right of {acl.user} to {acl.operation} {acl.resource} {acl.name} ({acl.pattern})"


def _binding(acl: Acl) -> AclBinding:
    return AclBinding(
        ResourceType[acl.resource],
        acl.name,
        ResourcePatternType[acl.pattern],
        f"User:{acl.user}",
        "*",
        AclOperation[acl.operation],
        AclPermissionType.ALLOW,
    )


def _filter(binding: Rule) -> AclBindingFilter:
    return AclBindingFilter(
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )


def _user(binding: Rule) -> str:
    return str(binding.principal).removeprefix("User:")


def _is_plain(binding: Rule) -> bool:
    """Whether a rule is of the kind that topic files make: somebody may, from anywhere."""
    return bool(binding.permission_type == AclPermissionType.ALLOW and binding.host == "*")


def _acl(binding: Rule) -> Acl:
    return Acl(
        _user(binding),
        binding.operation.name,
        binding.restype.name,
        binding.name,
        binding.resource_pattern_type.name,
    )


def _rule(binding: Rule) -> str:
    permission = "may not" if binding.permission_type == AclPermissionType.DENY else "may"
    who = "everybody" if _user(binding) == "*" else _user(binding)
    host = "" if binding.host == "*" else f" from {binding.host}"
    return (
        f"a rule of somebody else's says that {who} {permission} {binding.operation.name} {binding.restype.name} "
        f"{binding.name} ({binding.resource_pattern_type.name}){host}"
    )


def _all(futures: dict[Any, Future[Any]], what: str, *, fine: int | None = None) -> dict[Any, Any]:
    results = {}
    for name, future in futures.items():
        error = _error(future, what)
        if error is None or fine is None or _code(error) != fine:
            results[name] = _one(future, what)
    return results


def _one(future: Future[Any], what: str) -> Any:
    error = _error(future, what)
    if isinstance(error, KafkaException):
        raise _failure(error, what) from error
    return future.result()


def _error(future: Future[Any], what: str) -> BaseException | None:
    try:
        return future.exception(_ANSWER_WITHIN_S)
    except TimeoutError as error:
        raise RetryableError(
            f"the registrar could not {what}: no answer within {_ANSWER_WITHIN_S:.0f} s; "
            "try again when Kafka answers"
        ) from error


def _code(error: BaseException | None) -> int | None:
    return error.args[0].code() if isinstance(error, KafkaException) else None


def _failure(error: KafkaException, what: str) -> MisconfiguredError | RetryableError:
    reason: KafkaError = error.args[0]
    says = f"the registrar could not {what}: {reason.str().rstrip('.')}"
    if reason.retriable() or reason.code() in (KafkaError._TIMED_OUT, KafkaError._TRANSPORT):  # noqa: SLF001
        return RetryableError(f"{says}; try again when Kafka answers")
    if reason.code() == KafkaError.SECURITY_DISABLED:
        return MisconfiguredError(
            f"{says}. Where nobody's rights are looked at, every agent could write what it likes to every topic: "
            "give the brokers an authorizer.class.name, or leave KAFKA_BOOTSTRAP_SERVERS out to have one started"
        )
    return MisconfiguredError(f"{says}. It must be the broker's super user; see SEAMWORK_KAFKA_SASL_USERNAME")
