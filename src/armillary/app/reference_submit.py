"""The reference page of the submit language, from the tables that the reader of submit files goes by."""

from __future__ import annotations

from collections.abc import Mapping

from armillary.client.submitfile import commands
from armillary.client.submitfile.policy import MACHINE
from armillary.client.submitfile.queueing import MAX_JOBS


def page(made: str) -> str:
    """Return the page."""
    machine = ", ".join(f"`{name}`" for name in sorted(MACHINE))
    return f"""# Submit files

{made}
`armillary submit FILE --image IMAGE --flavor FLAVOR`, `canfar_submit FILE IMAGE FLAVOR` and `condor_submit FILE` read HTCondor submit files on
your own machine. Macros are expanded and expressions are read by HTCondor's own library; the jobs are those that the real `condor_submit -dry-run` makes, which the tests compare
on some eighty files with HTCondor 23.9 and 25. How to write one is told in [another page](../how-to/write-submit-files.md).

`armillary submit FILE … --dry-run` says how many jobs, cores, hours and bytes a file asks for, without asking the platform; `-v` shows each job, `--json` is for programs.

## `queue`

| Form | Jobs |
|---|---|
| `queue`, `queue 10`, `queue $(N)`, `queue 2*5` | that many |
| `queue [N] [NAMES] in [SLICE] (a, b, c)` | N for each word; the list may go on over lines |
| `queue [N] [NAMES] from [SLICE] (` … `)` | N for each line; commas or blanks part the values of several NAMES, and the last takes the rest |
| `queue [N] [NAMES] from [SLICE] FILE` | likewise for each line of a file, where `#` begins no comment |
| `queue [N] [NAMES] from [SLICE] COMMAND \\|` | likewise for what a command prints; needs `--allow-commands` |
| `queue [N] [NAMES] matching [files\\|dirs\\|any] [SLICE] PATTERNS` | N for each name that is there; directories end with `/` |

A SLICE is Python's: `[2:10:2]`, `[-3:]`. `[2]` is `[2:]`, as HTCondor has it, with a note. A file may have as many `queue` statements as you like, each with the values as they stand there: CANFAR's
documents write them so, and HTCondor 25 refuses it. All jobs of a file are one cluster, at most {MAX_JOBS:,}; `$(Process)` counts on over its `queue` statements. `$(Cluster)` can be used everywhere but in names of inputs.

## Macros

`$(X)`, `$(X:default)`, `$(file_$(Process))`, `$ENV(X)`, `$F(X)` with any of the letters `pdnxqabwuf` behind the F, `$INT`, `$REAL`, `$STRING`, `$CHOICE`, `$SUBSTR`, `$EVAL`, `$RANDOM_INTEGER`, `$RANDOM_CHOICE`, `$BASENAME`, `$DIRNAME`; `if`, `elif`,
`else`, `endif` with `true`, `false`, a number, `defined X` or `version > 8.1`; `include : FILE`; `@=tag … @tag`; `\\` at the end of a line. `$$(X)` is refused.

## Honoured

{_table(commands.HONOURED)}
`+Name = EXPRESSION` and `MY.Name = EXPRESSION` are attributes of the job. Expressions are read when you submit: one that is none names its line. In `requirements` and `rank` a worker has
{machine}, in any spelling of capitals; what looks at anything else is pointed out, since it is UNDEFINED there.

## Without effect, with a note

{_table(commands.NOT_HONOURED)}
Of CANFAR's cloud scheduler:

{_table({f"+{name[3:]}": why for name, why in commands.CANFAR.items()})}
Names that are no command and that nothing uses are pointed out, with the command that was perhaps meant.

## Refused

Universes other than vanilla: `container`, `docker`, `grid`, `java`, `local`, `parallel`, `scheduler`, `vm`. And:

{_table({**commands.REFUSED, **{f"{start}…": why for start, why in commands.FAMILIES.items()}})}
## Without a word

They ask for what happens anyway, or for nothing that a result depends on.

{_table(commands.WITHOUT_EFFECT)}
## Where HTCondor says nothing

HTCondor takes these, and the jobs then fail, wait for ever, or leak. Here they are refused, with the line and a remedy:

| | HTCondor |
|---|---|
| `request_memory = lots` | an expression that is never true: the job waits for ever |
| `$(oops)`, defined nowhere | nothing in its place |
| macros that use each other in a circle, or grow without end | never returns |
| a blank line in a list | a job with an empty item |
| `getenv = true` | the whole environment, secrets and all, in the job's ClassAd |
| `queue N from COMMAND \\|`, `include : COMMAND \\|` without `--allow-commands` | runs the command while it reads |

and these are pointed out: a line `#…` in a list file, which is an item; an item with fewer values than names; `request_memory` by what the job uses, which is worked out once; variables that `getenv` takes and that sound secret.

## In the portal

Forms that would run or read something where the file is read are refused there: `include`, `queue … from FILE`, `queue … from COMMAND |`, `matching`, `$ENV`, `getenv`. Submit such a file with `armillary submit`.

## Other spellings

{_table({alias: f"`{name}`" for alias, name in commands.ALIASES.items()})}"""


def _table(rows: Mapping[str, str]) -> str:
    lines = [f"| `{name}` | {words.replace('|', chr(92) + '|')} |" for name, words in sorted(rows.items())]
    return "\n".join(["| | |", "|---|---|", *lines]) + "\n"
