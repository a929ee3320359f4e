//! Why the reusable workflows do not pass an input on. Data alone.

pub(super) const NO_FILES: &str = "\
    a file: jobs of the workflow check nothing out, so that nothing of the caller's runs in them";
pub(super) const NO_ENVIRONMENT: &str = "\
    a variable: those of the caller do not reach a workflow that it calls";
pub(super) const OF_A_STEP: &str = "for steps that come after in the job, and there are none";
pub(super) const OWN_IMAGES: &str = "\
    for images that were built elsewhere, or use such images; the jobs of this workflow build what \
    it publishes";
pub(super) const ALWAYS: &str = "it may not be anything else";
pub(super) const OWN_BUILDER: &str = "\
    the job makes a builder for itself alone; others could control a builder of the caller";
pub(super) const OF_MERGE: &str = "of what is published, which the job that merges does";
pub(super) const OF_DIGESTS: &str = "digests are handed on as outputs of the jobs";
pub(super) const JOBS_TOKEN: &str =
    "by default the job's own token, with the job's own permissions";
pub(super) const REACHES_IN: &str = "\
    with it a caller reaches what is built, and the build level would be claimed for what it chose";
pub(super) const OWN_NETWORK: &str = "\
    these jobs run on runners of GitHub's, and nothing of the caller's \
    lies between them and a registry; publish-custom.yml takes it";
pub(super) const NO_CLAIM: &str = "the workflow claims no build level";
pub(super) const NO_AGENT: &str = "\
    a key or the socket of an agent: neither is on the machine of a job without steps of the \
    caller's";
pub(super) const OWN_OUTPUT: &str = "the workflow's own output `tags` has one a line";
