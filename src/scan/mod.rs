//! Known vulnerabilities: packages and advisories in, findings and a verdict out. It reads no file,
//! asks no service and knows no clock.
//!
//! A [`findings::ScanSubject`] has the [`question`]s that sources are asked, [`record`] reads what
//! they answer, and [`findings::Findings`] says what is wrong with which package, by the orders of
//! [`versions`]. [`gate`] judges them by rules and by what is [`accepted`].

pub mod accepted;
pub mod affected;
pub mod exploited;
pub mod findings;
pub mod gate;
mod modules;
mod owners;
pub mod question;
pub mod record;
pub mod records;
pub mod severity;
pub mod subjects;
mod text;
pub mod tools;
pub mod versions;

// What is made of them, for machines and people.
pub mod attestation;
pub mod known;
pub mod openvex;
pub mod report;
pub mod rows;
#[cfg(test)]
pub(crate) mod sample;
pub mod sarif;
pub mod shown;
