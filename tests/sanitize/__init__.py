"""`make sanitize`: the native code under ASan + UBSan, then under TSan.

    python -m tests.sanitize [address] [thread] [--jobs 2] [--times 0.2] [group or test ...]

The instrumented extension goes into a copy of the package below build/sanitize, so the working
tree keeps its own; it is kept, and compiled again only where sources changed (through ccache where
there is one). Python itself is not instrumented: leaks at exit are not looked for.

Before anything else, planted errors must be reported (canaries.py): a run that would not see them
proves nothing. Every part of the tests runs in a process of its own and within a time of its own,
so that one that hangs or dies does not hide the others. Tests work with less (sizes.py), and
property tests try fewer examples. Parts that took longest the last time begin first.

The end says how long each part took, prints a table by group, and which parts reported something;
any report, whatever the tests made of it, is a failure. `--table` prints the table of what every
part last did, at whichever commit that was, and runs nothing.
"""
