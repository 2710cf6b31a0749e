//! What the operator costs: measured against a bare client on the same server, from one command.
//!
//! | module | what it does |
//! |---|---|
//! | [`fleet`] | landing zones that are alike, what they render to, and what their teams write |
//! | [`bare`] | a client that writes the same objects and nothing else: the floor |
//! | [`usage`] | processor time and memory of processes |
//! | [`figures`] | what was measured, as a table, as JSON and as a plot |
//! | `foreign` | what somebody else writes meanwhile |
//! | `neighbour` | somebody else who uses the same API server |
//! | `floor` | the bare client in the operator's place |
//! | `pace` | how fast the machine is meanwhile |
//! | `today` | what people do today in its place |
//! | `plot` | how long it all takes, as a picture |
//! | [`run`] | the steps, in their order |

pub mod bare;
pub mod figures;
pub mod fleet;
mod floor;
mod foreign;
mod neighbour;
mod pace;
mod plot;
pub mod run;
mod today;
pub mod usage;

pub use figures::{Figures, Limits};
pub use fleet::Fleet;
pub use plot::draw;
pub use run::{Options, Save, run};
