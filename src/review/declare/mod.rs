//! What somebody would have to declare, as files hold it: `propose`, `why` and the review name the same.

mod entry;
mod given;
mod line;
mod name;
mod side;

pub use entry::{
    Cidr, Direction, Entry, MAX_CIDRS, Peer, Port, Selector, ServicePeer, SharedService,
};
pub use given::Given;
pub use line::{in_one_line, ports_in_one_line, ranges_in_one_line};
pub use name::Names;
pub use side::{Said, Side, list};
