//! What somebody changes behind the operator's back is put back, and told.

pub mod access;
pub mod namespace;
pub mod policy;
pub mod quota;
pub mod team;
