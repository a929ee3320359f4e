//! Known vulnerabilities: records of the OSV schema, and which of two versions is the older one, as
//! each ecosystem orders them. It reads no file, asks no service and knows no clock.

pub mod record;
pub mod versions;
