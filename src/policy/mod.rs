//! The Calico policy language; pure.

mod resource;
mod satisfiable;
mod selector;
mod validate;

pub use resource::{
    Action, EntityRule, GlobalNetworkPolicy, GlobalNetworkPolicySpec, Rule, ServiceMatch, Tier,
    TierSpec,
};
pub use satisfiable::{TooComplex, example};
pub use selector::{Comparison, Labels, Selector, SelectorError};
pub use validate::{Fault, MAX_NETS, MAX_PORTS, MAX_RULES, MAX_SELECTOR_LENGTH, PolicyProblem};
