//! Questions → the ids of the records that a service lists for each, page by page. It keeps the
//! order of the questions, and names what went unanswered.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde::{Deserialize, Serialize};

use super::call::CallFailure;
use super::outline::base;
use super::service::OsvSource;
use super::{AdvisoryQuestion, RecordId};

/// The service takes no more: <https://google.github.io/osv.dev/post-v1-querybatch/>.
const MOST_QUERIES: usize = 1000;
/// No smaller batch is split when it times out.
const SMALLEST_SPLIT: usize = 32;
/// Batches that are asked at once.
const AT_ONCE: usize = 10;
/// Pages of one question.
const MOST_PAGES: usize = 200;
/// No answer to a batch is larger: it holds ids and times alone.
const LARGEST: usize = 8 << 20;
/// Records of all questions.
const MOST_RECORDS: usize = 1_000_000;

/// What a service lists for one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// The records, each with the time of its last change, as it was written.
    Records(BTreeMap<RecordId, String>),
    /// The source has nothing to say: it does not know the ecosystem, for example. This is why.
    NotAssessed(String),
}

/// A part that went unanswered.
pub(super) struct UnansweredPart {
    /// The places of its questions.
    pub(super) questions: BTreeSet<usize>,
    pub(super) cause: CallFailure,
}

/// What of a question is to be asked next.
#[derive(Debug, Clone)]
struct BatchQuery {
    question: usize,
    page: Option<String>,
}

#[derive(Serialize)]
struct PendingQuestion<'a> {
    queries: Vec<AskedQuery<'a>>,
}

#[derive(Serialize)]
struct AskedQuery<'a> {
    package: AskedPackage<'a>,
    version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_token: Option<&'a str>,
}

#[derive(Serialize)]
struct AskedPackage<'a> {
    ecosystem: &'a str,
    name: &'a str,
}

#[derive(Deserialize)]
struct Answered {
    results: Vec<AnsweredQuery>,
}

#[derive(Deserialize)]
struct AnsweredQuery {
    #[serde(default)]
    vulns: Vec<ListedRecord>,
    #[serde(default)]
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct ListedRecord {
    id: String,
    modified: String,
}

/// What is known so far.
struct Listings<'a> {
    questions: &'a [&'a AdvisoryQuestion],
    listed: Vec<Listing>,
    pages: Vec<usize>,
    records: usize,
    unanswered: BTreeSet<usize>,
    cause: Option<CallFailure>,
}

/// The listing of each question, in their order.
///
/// # Errors
/// The questions that no answer came for, and why.
pub(super) async fn list(
    service: &OsvSource,
    questions: &[&AdvisoryQuestion],
) -> Result<Vec<Listing>, UnansweredPart> {
    let mut waiting: Vec<Vec<BatchQuery>> = Vec::new();
    let all: Vec<BatchQuery> =
        (0..questions.len()).map(|question| BatchQuery { question, page: None }).collect();
    waiting.extend(all.chunks(MOST_QUERIES).rev().map(<[BatchQuery]>::to_vec));
    let mut known = Listings {
        questions,
        listed: vec![Listing::Records(BTreeMap::new()); questions.len()],
        pages: vec![0; questions.len()],
        records: 0,
        unanswered: BTreeSet::new(),
        cause: None,
    };
    let mut asked = FuturesUnordered::new();
    loop {
        while asked.len() < AT_ONCE
            && let Some(part) = waiting.pop()
        {
            asked.push(ask(service, questions, part));
        }
        let Some((part, outcome)) = asked.next().await else { break };
        waiting.extend(known.after(part, outcome));
    }
    match known.cause {
        None => Ok(known.listed),
        Some(cause) => Err(UnansweredPart { questions: known.unanswered, cause }),
    }
}

impl<'a> Listings<'a> {
    /// Takes an outcome in, and gives what has to be asked next.
    fn after(
        &mut self,
        part: Vec<BatchQuery>,
        outcome: Result<Vec<AnsweredQuery>, CallFailure>,
    ) -> Vec<Vec<BatchQuery>> {
        match outcome {
            Ok(results) => self.take_in(part, results),
            Err(CallFailure::TimedOut(_) | CallFailure::TooLarge(_)) if is_splittable(&part) => {
                halves(part)
            }
            Err(CallFailure::Refused(400, said)) => self.refused(part, &said),
            Err(failure) => {
                self.give_up(&part, failure);
                Vec::new()
            }
        }
    }

    fn take_in(
        &mut self,
        part: Vec<BatchQuery>,
        results: Vec<AnsweredQuery>,
    ) -> Vec<Vec<BatchQuery>> {
        let mut more = Vec::new();
        for (query, result) in part.into_iter().zip(results) {
            let question = query.question;
            self.pages[question] += 1;
            let failure = self.list(question, result.vulns).err().or_else(|| {
                let next = result.next_page_token.filter(|token| !token.is_empty())?;
                if query.page.as_ref() == Some(&next) {
                    return Some("a page of its answer leads to itself".to_owned());
                }
                if self.pages[question] == MOST_PAGES {
                    return Some(format!("its answer has more than {MOST_PAGES} pages"));
                }
                more.push(BatchQuery { question, page: Some(next) });
                None
            });
            if let Some(why) = failure {
                self.give_up(&[BatchQuery { question, page: None }], CallFailure::Other(why));
            }
        }
        more.chunks(MOST_QUERIES).map(<[BatchQuery]>::to_vec).collect()
    }

    fn list(&mut self, question: usize, records: Vec<ListedRecord>) -> Result<(), String> {
        self.records += records.len();
        if self.records > MOST_RECORDS {
            return Err(format!("it lists more than {MOST_RECORDS} records"));
        }
        for ListedRecord { id, modified } in records {
            let id = RecordId::of(&id)
                .ok_or_else(|| "it lists a record with an id that none has".to_owned())?;
            if let Listing::Records(listed) = &mut self.listed[question] {
                listed.insert(id, modified);
            }
        }
        Ok(())
    }

    /// One query that is not understood costs its whole batch the answer: it is looked for.
    fn refused(&mut self, part: Vec<BatchQuery>, said: &str) -> Vec<Vec<BatchQuery>> {
        let ecosystem = |query: &BatchQuery| self.questions[query.question].ecosystem.as_str();
        let of_one =
            part.windows(2).all(|pair| base(ecosystem(&pair[0])) == base(ecosystem(&pair[1])));
        if part.len() == 1 || (of_one && said.contains("ecosystem")) {
            for query in &part {
                self.listed[query.question] = Listing::NotAssessed(format!("HTTP 400{said}"));
            }
            return Vec::new();
        }
        if of_one {
            return halves(part);
        }
        let mut parts: BTreeMap<&str, Vec<BatchQuery>> = BTreeMap::new();
        for query in &part {
            parts.entry(base(ecosystem(query))).or_default().push(query.clone());
        }
        parts.into_values().collect()
    }

    fn give_up(&mut self, part: &[BatchQuery], cause: CallFailure) {
        self.unanswered.extend(part.iter().map(|query| query.question));
        self.cause.get_or_insert(cause);
    }
}

fn is_splittable(part: &[BatchQuery]) -> bool {
    part.len() > SMALLEST_SPLIT
}

fn halves(mut part: Vec<BatchQuery>) -> Vec<Vec<BatchQuery>> {
    let other = part.split_off(part.len() / 2);
    vec![other, part]
}

async fn ask(
    service: &OsvSource,
    questions: &[&AdvisoryQuestion],
    part: Vec<BatchQuery>,
) -> (Vec<BatchQuery>, Result<Vec<AnsweredQuery>, CallFailure>) {
    let queries = part.iter().map(|query| {
        let AdvisoryQuestion { ecosystem, name, version } = questions[query.question];
        AskedQuery {
            package: AskedPackage { ecosystem, name },
            version,
            page_token: query.page.as_deref(),
        }
    });
    let asked = PendingQuestion { queries: queries.collect() };
    let request = || service.http.post(service.at("v1/querybatch")).json(&asked);
    let read = |body: Vec<u8>| {
        let answer: Answered = serde_json::from_slice(&body)
            .map_err(|_| "an answer to a batch is not what the interface says".to_owned())?;
        if answer.results.len() == asked.queries.len() {
            Ok(answer.results)
        } else {
            let (results, queries) = (answer.results.len(), asked.queries.len());
            Err(format!("it answered {results} of {queries} questions of a batch"))
        }
    };
    let splits = is_splittable(&part);
    let outcome = service.patience.answer(LARGEST, splits, request, read).await;
    (part, outcome)
}
