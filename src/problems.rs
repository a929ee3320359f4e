//! Everything that is missing or wrong, as one error: a user mends all of it in one go. It never
//! hides one problem behind another.

use crate::error::SeveralFailures;
use crate::registry::RegistryError;

/// Everything that is missing or wrong.
#[derive(Debug, Default)]
pub struct Problems(Vec<anyhow::Error>);

impl Problems {
    /// One cause is one problem, however many requests met it.
    pub fn add(&mut self, error: anyhow::Error) {
        let cause = |error: &anyhow::Error| {
            error.downcast_ref::<RegistryError>().and_then(RegistryError::cause)
        };
        let is_known = cause(&error)
            .is_some_and(|new| self.0.iter().any(|known| cause(known).as_ref() == Some(&new)));
        if !is_known {
            self.0.push(error);
        }
    }

    /// Keeps the value, or notes the failure.
    pub fn take<T>(&mut self, result: anyhow::Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// All of them as one error; a single one stays as it is.
    pub fn into_result(mut self) -> anyhow::Result<()> {
        match (self.0.len(), self.0.pop()) {
            (_, None) => Ok(()),
            (1, Some(only)) => Err(only),
            (_, Some(last)) => {
                self.0.push(last);
                Err(SeveralFailures::of(self.0).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{self, Remedy as _};

    #[test]
    fn everything_is_listed_at_once() {
        let mut problems = Problems::default();
        problems.add(Err::<(), _>(anyhow::anyhow!("no `id-token`")).hint("add it").unwrap_err());
        problems.add(Err::<(), _>(anyhow::anyhow!("no push")).hint("log in").unwrap_err());
        let error = problems.into_result().unwrap_err();
        let told = "2 problems:\n  (1) no `id-token`\n      hint: add it\n  (2) no push\n      hint: log in";
        assert_eq!(error::message(&error), told);
        assert!(error::hints(&error).is_empty(), "each stands below its problem");
        Problems::default().into_result().unwrap();
    }

    #[test]
    fn one_cause_is_one_problem() {
        let refused = |request: &str| {
            error::remedied(RegistryError::Refused {
                request: request.to_owned(),
                status: reqwest::StatusCode::UNAUTHORIZED,
                detail: String::new(),
            })
        };
        let mut problems = Problems::default();
        problems.add(refused("GET https://r.io/v2/o/a/manifests/v1").context("what names mean"));
        problems.add(refused("POST https://r.io/v2/o/a/blobs/uploads/"));
        problems.add(refused("POST https://r.io/v2/o/b/blobs/uploads/"));
        let error = problems.into_result().unwrap_err();
        assert!(error::message(&error).starts_with("what names mean: `GET "), "{error:?}");
        assert_eq!(error::hints(&error).len(), 1);
    }
}
