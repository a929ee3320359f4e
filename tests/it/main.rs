//! The hermetic tests: the whole program against the embedded sandbox, in one process tree, without network or root.

mod conflicts;
mod faults;
mod publish;
mod refusals;
mod signals;
mod support;
mod tidy;
