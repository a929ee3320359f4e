//! How texts write lists, switches and tables. It never knows which input it reads.

pub mod csv;
pub mod lists;
