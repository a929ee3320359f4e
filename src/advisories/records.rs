//! Ids → the bytes of their records, from the cache or the service. It takes no record for another,
//! and none that is not about the packages it was listed for.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;

use super::call::CallFailure;
use super::outline::RecordOutline;
use super::service::OsvSource;
use super::{AdvisoryError, AdvisoryQuestion, RecordId, shown};

/// Records that are asked for at once; over HTTP/2 they share a connection.
const AT_ONCE: usize = 64;
/// No record is larger: the longest known have a thousand packages.
const LARGEST: usize = 16 << 20;
/// After so many that failed, no other is asked for.
const HOPELESS: usize = 20;

/// A record to fetch.
#[derive(Default)]
pub(super) struct RecordRequest {
    /// When it changed last, as the listing says.
    pub(super) modified: Option<String>,
    /// The places of the questions that it was listed for.
    pub(super) listed_for: BTreeSet<usize>,
}

/// What went unanswered.
pub(super) struct UnansweredRecords {
    pub(super) example: RecordId,
    pub(super) records: usize,
    pub(super) questions: BTreeSet<usize>,
    pub(super) cause: CallFailure,
}

pub(super) enum RecordsFailure {
    Unanswered(UnansweredRecords),
    Cache(AdvisoryError),
}

/// Hands each record to `keep`, in any order, and returns those that the service does not have.
///
/// # Errors
/// The records that no answer came for. One that is listed for a question must be there.
pub(super) async fn fetch(
    service: &OsvSource,
    questions: &[&AdvisoryQuestion],
    wanted: &BTreeMap<RecordId, RecordRequest>,
    mut keep: impl FnMut(&RecordId, Vec<u8>),
) -> Result<Vec<RecordId>, RecordsFailure> {
    let now = Timestamp::now();
    let mut absent = Vec::new();
    let mut unanswered: Option<UnansweredRecords> = None;
    let mut left: BTreeSet<&RecordId> = wanted.keys().collect();
    let mut answers = stream::iter(wanted)
        .map(|(id, request)| async move {
            (id, request, one(service, questions, id, request, now).await)
        })
        .buffer_unordered(AT_ONCE);
    while let Some((id, request, outcome)) = answers.next().await {
        match outcome {
            Ok(Some(record)) => keep(id, record),
            Ok(None) => absent.push(id.clone()),
            Err(OneFailure::Cache(error)) => return Err(RecordsFailure::Cache(error)),
            Err(OneFailure::Unanswered(cause)) => {
                let failed = unanswered.get_or_insert_with(|| UnansweredRecords {
                    example: id.clone(),
                    records: 0,
                    questions: BTreeSet::new(),
                    cause,
                });
                failed.records += 1;
                failed.questions.extend(&request.listed_for);
                if failed.records == HOPELESS {
                    left.remove(id);
                    break;
                }
            }
        }
        left.remove(id);
    }
    match unanswered {
        None => Ok(absent),
        Some(mut failed) => {
            failed.records += left.len();
            let unasked = left.iter().filter_map(|id| wanted.get(*id));
            failed.questions.extend(unasked.flat_map(|request| &request.listed_for));
            Err(RecordsFailure::Unanswered(failed))
        }
    }
}

enum OneFailure {
    Unanswered(CallFailure),
    Cache(AdvisoryError),
}

async fn one(
    service: &OsvSource,
    questions: &[&AdvisoryQuestion],
    id: &RecordId,
    request: &RecordRequest,
    now: Timestamp,
) -> Result<Option<Vec<u8>>, OneFailure> {
    let cached =
        service.cache.as_ref().and_then(|cache| cache.get(id, request.modified.as_deref(), now));
    let (record, outline) = match cached {
        Some(cached) => cached,
        None => {
            let read = |record: Vec<u8>| match RecordOutline::of(&record) {
                Some(outline) if outline.id == id.as_str() => Ok((record, outline)),
                Some(_) => Err(format!("in the place of `{id}` it gave another record")),
                None => Err(format!("what it gave for `{id}` is not a record")),
            };
            let get = || service.http.get(service.at(&format!("v1/vulns/{id}")));
            let fetched = match service.patience.answer(LARGEST, false, get, read).await {
                Ok(fetched) => fetched,
                Err(CallFailure::Refused(404, _)) if request.listed_for.is_empty() => {
                    return Ok(None);
                }
                Err(failure) => return Err(OneFailure::Unanswered(failure)),
            };
            if let Some(cache) = &service.cache {
                cache.put(id, &fetched.0, now).map_err(OneFailure::Cache)?;
            }
            fetched
        }
    };
    // Answers to batches hold no names, so only here it shows that one stands in the wrong place.
    let astray = request
        .listed_for
        .iter()
        .map(|place| questions[*place])
        .find(|question| !outline.names(&question.ecosystem, &question.name));
    match astray {
        None => Ok(Some(record)),
        Some(question) => Err(OneFailure::Unanswered(CallFailure::Other(format!(
            "it listed `{id}` for {}, which that record does not name",
            shown(question)
        )))),
    }
}
