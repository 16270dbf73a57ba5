"""Every error of ours in one tree: its branch says what whoever meets it does next.

InnervateError
├── Transient                       try again; nothing was lost
│   ├── BrainUnavailable            the model gave no reply to judge; the rules decide
│   ├── DatabaseUnavailable         the outcome of the statement may be unknown: ask again, never assume
│   │   ├── DatabaseReadOnly        it answers and takes no writes: a standby, or made read-only
│   │   ├── SchemaUnusable          it answers; a table, column or privilege that is needed is not there
│   │   ├── RowsLocked              somebody else kept what is needed locked for too long
│   │   ├── EffectUnavailable       the effects of one decision took too long, or cannot be had now
│   │   │   └── EffectsWait         the same, where the decision itself could be written
│   │   └── OldWorkersRemain        not before the workers of the version before are gone
│   ├── TokenUnavailable            no token could be fetched for Kafka: its clients connect again
│   ├── NotTried                    the effects of its batch-mates took too long: in another batch, at once
│   ├── NotPublished                whether Kafka has the message is unknown
│   │   ├── Unwritable              Kafka takes nothing for this topic until somebody changes something there
│   │   └── Aborted                 its transaction failed because of another message: try again at once
│   ├── GivenUp                     a library gave the batch up, and nobody here had asked for it
│   └── EndedItself                 a task in the background ended; it is started again
├── Permanent                       it will fail again: a dead letter with this `reason`, then go on
│   ├── InvalidEvent                a record is no event, or its data is not of its type
│   ├── DecisionFailed              the agent itself raised, or returned something that is no decision
│   ├── StatementRejected           PostgreSQL refused the rows themselves
│   ├── Echo                        the decision is written as refused: its chain went too far
│   ├── Refused                     Kafka will never take this message, alone and as it is
│   ├── Damaged                     a batch or record follows no layout of Kafka's
│   ├── NotAnswered                 the answer to a held decision was not given
│   │   ├── UnknownApproval         no such decision was held
│   │   ├── AlreadyAnswered         somebody else was first, or it expired
│   │   └── AnotherContent          the hash is of something else than what is held
│   └── NotRedriven                 the dead letter was not put back
│       ├── UnknownDeadLetter       there is no such dead letter
│       ├── AlreadyRedriven         somebody else was first
│       ├── TruncatedDeadLetter     it is larger than any event may be, so it was not kept whole
│       └── ShadowDeadLetter        what a shadow cannot decide on is no matter of the topics
├── Rejected                        the model's reply is not what was asked for: ask once more, then the rules decide
├── NotFound                        what was asked for is not there
├── NotAnswerable                   the assistant's call is not answered; the message tells it why
├── NotSigned                       nobody is recorded as who asks for a change
│   ├── NameMissing                 whoever asks is not known, and does not say who they are
│   └── AnotherName                 whoever asks says another name than the one they are known by
├── OutsidePolicy                   the model chose what the agent does not permit; the rules decide
└── Fatal                           what was begun ends, with the message; a person changes something first
    ├── WindowsUnusable             going on would decide without what should be remembered
    │   ├── ChangelogUnreadable     a record of the changelog is no entry of a window
    │   ├── TimelineReplaced        the changelog was written from another topic, or a longer one, than the timeline is
    │   └── SlotUnreadable          a stored entry cannot be read; the next start reads it back from the changelog
    ├── RingCorrupt                 stored bytes are no entry of a window
    ├── DomainInvalid               what a domain declares does not fit together
    ├── ListingInvalid              what a domain shows of its tables is not there
    ├── SchemaTooNew                the schema is of a release that this one does not understand
    ├── MeasureInvalid              what a domain counts of its effects is not there
    ├── MigrationChanged            the database was migrated by other files than these
    ├── NoSuchContents              nothing of this name is kept for a time of its own
    ├── RolesUnusable               a role that rights are granted to may everything already
    ├── MigrationRefused            PostgreSQL refused a migration of a domain; nothing of it was kept
    ├── CredentialsUnusable         a certificate, a key or an authority for Kafka cannot be used
    ├── TracesUnusable              the environment asks for traces in a way that there is none for
    ├── GroupDenied                 a right to a consumer group is missing
    ├── TopicsUnusable              the worker's topics are not there, or not as they must be
    ├── DataDirectoryUnusable       nothing can be kept in DATADIR
    ├── CannotRebuild               the windows are as they were
    ├── CannotRewind                the groups are where they were
    ├── RebuildSpoiled              the windows are half built: build them again
    ├── TimelineUnreadable          the topic is not there, or the broker does not hand over what it says it has
    │   ├── UnknownEvent            this entity's timeline has no event with this id, or no longer
    │   └── AmbiguousEvent          it has several, of different sources: say which is meant
    ├── SliceTooLarge               there is more than one file should hold
    ├── SliceUnreadable             a file is no slice that this version can read
    ├── StateUnusable               the directory is another replay's
    ├── StateInUse                  another process has the directory open
    ├── NotWritten              a new domain cannot be written under this name, or here
    ├── NothingToDecide         a test asks an agent about an event it would not decide on
    └── SandboxError                a wheel, Java or Maven is missing, or a service ended or stayed silent at its start

The root stands here because this package imports none of ours: everybody may derive from it. Each error stands where it
is raised. No message of a `BrainUnavailable` or `Rejected` holds anything a model or its server wrote: messages are
logged and shown.
"""

from __future__ import annotations


class InnervateError(Exception):
    """Something that was expected to go wrong now and then, and did; the message is a line for a person."""


class Transient(InnervateError):
    """Trying again, later or another way, may help."""


class Permanent(InnervateError):
    """Trying again cannot help: what asked for it becomes a dead letter, or is refused."""

    #: The word that the dead letters of this kind are counted by.
    reason: str = "unprocessable"


class Fatal(InnervateError):
    """The worker stops, or the command ends: going on is impossible or does harm."""


class WindowsUnusable(Fatal):
    """The worker must stop: going on would decide without what should be remembered. The message says which windows."""

    def __init__(self, table: str, message: str) -> None:
        super().__init__(message)
        #: The name of the window table.
        self.table = table


class ChangelogUnreadable(WindowsUnusable):
    """A record of a changelog is no entry of a window; the message has its topic, partition and offset."""


class TimelineReplaced(WindowsUnusable):
    """The timeline is not the topic the changelog was written from: its offsets mean nothing there."""


class SlotUnreadable(WindowsUnusable):
    """A stored entry cannot be read."""
