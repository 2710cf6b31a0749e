//! The controls of benchmarks that a question answers to.

use std::fmt;

/// A benchmark, in the version whose numbers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Benchmark {
    /// CIS Azure Kubernetes Service (AKS) Benchmark, by the numbers that kube-bench has for it (`cfg/aks-1.8`).
    CisAks,
    /// Microsoft cloud security benchmark.
    Mcsb,
}

impl Benchmark {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CisAks => "CIS AKS",
            Self::Mcsb => "MCSB",
        }
    }

    /// The version whose numbers are told.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::CisAks => "1.8.0",
            Self::Mcsb => "1",
        }
    }
}

/// A control of a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// The benchmark.
    pub benchmark: Benchmark,
    /// Its number there: `5.4.1`, `NS-2`.
    pub id: &'static str,
    /// Whether the benchmark does not ask for just this, and the control is the one whose title fits best.
    pub is_own_mapping: bool,
}

/// `CIS AKS 1.8.0 5.4.1`, with `(our mapping)` behind it where it is ours.
impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, version) = (self.benchmark.name(), self.benchmark.version());
        write!(f, "{name} {version} {}", self.id)?;
        if self.is_own_mapping {
            f.write_str(" (our mapping)")?;
        }
        Ok(())
    }
}

/// A control that asks for what is asked here.
pub(super) const fn of(benchmark: Benchmark, id: &'static str) -> Control {
    Control {
        benchmark,
        id,
        is_own_mapping: false,
    }
}

/// A control whose title fits what is asked here.
pub(super) const fn near(benchmark: Benchmark, id: &'static str) -> Control {
    Control {
        is_own_mapping: true,
        ..of(benchmark, id)
    }
}
