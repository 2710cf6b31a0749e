//! What was measured.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The figures of one run. Ratios are of the same run on the same machine.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// How many landing zones, of three namespaces each.
    pub landing_zones: usize,
    /// What they render to, without the landing zones themselves.
    pub objects: usize,
    /// The bare client's time for the same objects and two status writes per landing zone: its best, seconds.
    pub floor_seconds: f64,
    /// The same by requests at once.
    pub floors: Vec<Floor>,
    /// From an empty cluster to every landing zone ready.
    pub converge: Converge,
    /// Somebody else on the same API server meanwhile.
    pub neighbour: Neighbour,
    /// The same with other limits of the operator.
    pub beside_others: Vec<BesideOthers>,
    /// `kubectl apply --server-side` of the same objects; nothing where that was left out.
    pub kubectl: Compared,
    /// Flux's kustomize-controller with the same objects as files; nothing where that was left out.
    pub flux: Compared,
    /// A restart when nothing is to be done.
    pub restart: Restart,
    /// When nothing happens.
    pub idle: Idle,
    /// One foreign write at a time.
    pub drift_repair: DriftRepair,
    /// Many foreign writes at once.
    pub storm: Storm,
    /// One field of the platform that concerns every landing zone.
    pub platform_change: PlatformChange,
    /// Resident memory of the operator, converged and restarted, with its teams' policies, MiB.
    #[serde(rename = "residentMiB")]
    pub resident_mib: f64,
    /// The most that it was until then since the restart, MiB.
    #[serde(rename = "peakMiB")]
    pub peak_mib: f64,
    /// The same after all storms and the change of the platform, with what is said of them, MiB.
    #[serde(rename = "afterwardsMiB")]
    pub afterwards_mib: f64,
    /// Watches that are open.
    pub watches: usize,
}

/// The bare client with so many requests at once.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Floor {
    /// Requests that were under way at once.
    pub in_flight: usize,
    /// How long it took.
    pub seconds: f64,
    /// Processor time of the API server for 1,000 objects meanwhile, seconds.
    pub apiserver_cpu_seconds_per_1000_objects: f64,
    /// 99 of 100 requests of somebody else take less meanwhile, seconds.
    pub neighbour_p99_seconds: f64,
    /// Processor time that the same piece of work takes meanwhile: how fast the machine was, milliseconds.
    pub pace_milliseconds: f64,
}

/// What somebody else takes for the same objects.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// From its start to its end.
    pub seconds: f64,
    /// That, divided by the floor.
    pub ratio: f64,
}

/// From an empty cluster to every landing zone ready.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Converge {
    /// From the operator's start to its last write, by the audit log.
    pub seconds: f64,
    /// That, divided by the floor.
    pub ratio: f64,
    /// Processor time that the same piece of work takes meanwhile: how fast the machine was, milliseconds.
    pub pace_milliseconds: f64,
    /// The ratio if the machine had been as fast for the operator as for the bare client.
    pub even_ratio: f64,
    /// All requests of the operator but those about its Lease.
    pub requests: usize,
    /// Those that were to change something.
    pub writes: usize,
    /// Those that failed.
    pub failed: usize,
    /// Processor time of the operator for 1,000 objects, seconds.
    pub operator_cpu_seconds_per_1000_objects: f64,
    /// The same of the API server.
    pub apiserver_cpu_seconds_per_1000_objects: f64,
    /// Most memory of the API server until then, MiB.
    #[serde(rename = "apiserverPeakMiB")]
    pub apiserver_peak_mib: f64,
}

/// Somebody else on the same API server, who reads and writes one small object by turns.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Neighbour {
    /// 99 of 100 requests take less when nothing else happens, seconds.
    pub quiet_p99_seconds: f64,
    /// The same while the operator converges.
    pub converging_p99_seconds: f64,
    /// One by the other.
    pub ratio: f64,
}

/// What the operator may take of the API server at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// `nominalConcurrencyShares` of its priority level.
    pub shares: u32,
    /// Its own `--writes-in-flight`.
    pub writes_in_flight: u16,
    /// Its own `--requests-per-second`; None: as they come.
    pub requests_per_second: Option<u16>,
}

/// Two or three numbers with colons, such as `30:32` or `30:32:100`.
impl FromStr for Limits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = || {
            let mut numbers = text.split(':');
            let limits = Self {
                shares: numbers.next()?.parse().ok()?,
                writes_in_flight: numbers.next()?.parse().ok()?,
                requests_per_second: numbers.next().map(str::parse).transpose().ok()?,
            };
            numbers.next().is_none().then_some(limits)
        };
        numbers().ok_or_else(|| {
            "it has to be SHARES:WRITES or SHARES:WRITES:PER_SECOND, such as 30:2 or 30:32:100"
                .to_owned()
        })
    }
}

/// Somebody else on the same API server while the operator converges with other limits than it comes with.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BesideOthers {
    /// What the operator may take.
    pub limits: Limits,
    /// How many landing zones converge.
    pub landing_zones: usize,
    /// How long that takes, seconds.
    pub converge_seconds: f64,
    /// Somebody else meanwhile.
    pub neighbour: Neighbour,
}

/// A restart when nothing is to be done.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// Requests that were to change something, but those about the Lease.
    pub writes: usize,
    /// All of them, but those about the Lease.
    pub requests: usize,
    /// From the start until every landing zone was compared.
    pub seconds: f64,
}

/// When nothing happens.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Idle {
    /// How long that was watched, seconds.
    pub seconds: f64,
    /// Requests that were to change something, but those about the Lease.
    pub writes: usize,
    /// Requests that were neither about the Lease nor watches.
    pub others: usize,
    /// Processor time, percent of one core.
    pub cpu_percent: f64,
}

/// One foreign write at a time, until it is put back.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DriftRepair {
    /// How many.
    pub samples: usize,
    /// One server-side apply, half of them take less, seconds.
    pub apply_seconds: f64,
    /// Half of the repairs take less, seconds.
    pub p50_seconds: f64,
    /// 99 of 100 take less, seconds.
    pub p99_seconds: f64,
    /// The first, divided by one apply.
    pub p50_ratio: f64,
    /// The second, divided by one apply.
    pub p99_ratio: f64,
}

/// Many foreign writes at once, until the last is put back.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Storm {
    /// How many.
    pub drifts: usize,
    /// From the first foreign write to the last repair.
    pub seconds: f64,
    /// The bare client in place of the operator: as many foreign writes at the same pace, each answered by an apply.
    pub floor_seconds: f64,
    /// One by the other.
    pub ratio: f64,
    /// Processor time that the same piece of work takes meanwhile: how fast the machine was, milliseconds.
    pub pace_milliseconds: f64,
    /// The ratio if the machine had been as fast for the operator as for the bare client.
    pub even_ratio: f64,
    /// As many applies alone, as fast as the server takes them.
    pub applies_seconds: f64,
    /// From the last foreign write to the last repair.
    pub behind_seconds: f64,
    /// What the operator wrote besides the repairs.
    pub other_writes: usize,
    /// Growth of the resident memory over all storms, percent.
    pub growth_percent: f64,
}

/// One field of the platform that concerns every landing zone.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlatformChange {
    /// Objects that differ afterwards.
    pub expected: usize,
    /// Requests of the operator that changed something.
    pub writes: usize,
    /// From the change to the last of them.
    pub seconds: f64,
    /// That, divided by the bare client's time for the same objects.
    pub ratio: f64,
    /// Processor time that the same piece of work takes meanwhile: how fast the machine was, milliseconds.
    pub pace_milliseconds: f64,
    /// The ratio if the machine had been as fast for the operator as for the bare client.
    pub even_ratio: f64,
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} s with {} (kube-apiserver {:.2} s for 1,000, somebody else {:.0} ms, pace {:.2} ms)",
            self.seconds,
            self.in_flight,
            self.apiserver_cpu_seconds_per_1000_objects,
            self.neighbour_p99_seconds * 1e3,
            self.pace_milliseconds
        )
    }
}

impl fmt::Display for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seconds > 0.0 {
            write!(f, "{:.1} s, {:.2} × the floor", self.seconds, self.ratio)
        } else {
            f.write_str("not tried")
        }
    }
}

impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "p99 {:.1} ms when quiet, {:.1} ms while the operator converges: {:.1} ×",
            self.quiet_p99_seconds * 1e3,
            self.converging_p99_seconds * 1e3,
            self.ratio
        )
    }
}

impl fmt::Display for BesideOthers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.limits.requests_per_second;
        let rate = rate.map(|it| format!(", {it} requests a second"));
        write!(
            f,
            "{} shares, {} writes in flight{}, {} landing zones in {:.1} s: {}",
            self.limits.shares,
            self.limits.writes_in_flight,
            rate.unwrap_or_default(),
            self.landing_zones,
            self.converge_seconds,
            self.neighbour
        )
    }
}

impl fmt::Display for Converge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} s, {:.2} × the floor ({:.2} × at the same pace); {} requests, {} writes, {} failed",
            self.seconds, self.ratio, self.even_ratio, self.requests, self.writes, self.failed
        )
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.2} s; {} requests, {} writes",
            self.seconds, self.requests, self.writes
        )
    }
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.0} s; {} writes, {} other requests, {:.2} % of a core",
            self.seconds, self.writes, self.others, self.cpu_percent
        )
    }
}

impl fmt::Display for DriftRepair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} samples; an apply {:.1} ms, p50 {:.1} ×, p99 {:.1} ×",
            self.samples,
            self.apply_seconds * 1e3,
            self.p50_ratio,
            self.p99_ratio
        )
    }
}

impl fmt::Display for Storm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} drifts: {:.1} s, {:.2} × the bare client's {:.1} s ({:.2} × at the same pace); {:.1} s behind; as many applies \
             alone {:.1} s; {} other writes; memory {:+.1} %",
            self.drifts,
            self.seconds,
            self.ratio,
            self.floor_seconds,
            self.even_ratio,
            self.behind_seconds,
            self.applies_seconds,
            self.other_writes,
            self.growth_percent
        )
    }
}

impl fmt::Display for PlatformChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} writes for {} objects, {:.1} s, {:.2} × the floor ({:.2} × at the same pace)",
            self.writes, self.expected, self.seconds, self.ratio, self.even_ratio
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} landing zones, {} namespaces, {} objects",
            self.landing_zones,
            self.landing_zones * 3,
            self.objects
        )?;
        let floors = self.floors.iter();
        let floors: Vec<_> = floors.map(ToString::to_string).collect();
        let floors = floors.join(", ");
        let cpu = format!(
            "operator {:.2} s, kube-apiserver {:.2} s",
            self.converge.operator_cpu_seconds_per_1000_objects,
            self.converge.apiserver_cpu_seconds_per_1000_objects
        );
        let memory = format!(
            "{:.0} MiB, at most {:.0} MiB since the restart; {:.0} MiB after the storms; \
             kube-apiserver at most {:.0} MiB when all had converged",
            self.resident_mib, self.peak_mib, self.afterwards_mib, self.converge.apiserver_peak_mib
        );
        let beside_others = self.beside_others.iter();
        let rows: [(&str, &dyn fmt::Display); 6] = [
            ("floor", &floors),
            ("converge", &self.converge),
            ("kubectl apply", &self.kubectl),
            ("Flux", &self.flux),
            ("CPU for 1,000 objects", &cpu),
            ("somebody else", &self.neighbour),
        ];
        let rows = rows.into_iter();
        let rows = rows.chain(beside_others.map(|it| ("", it as &dyn fmt::Display)));
        let rest: [(&str, &dyn fmt::Display); 7] = [
            ("restart", &self.restart),
            ("idle", &self.idle),
            ("drift repair", &self.drift_repair),
            ("storm", &self.storm),
            ("platform change", &self.platform_change),
            ("memory", &memory),
            ("watches", &self.watches),
        ];
        for (what, figure) in rows.chain(rest) {
            writeln!(f, "{what:<22} {figure}")?;
        }
        Ok(())
    }
}

/// The value below which such a part of sorted ones lies.
pub(super) fn at(sorted: &[f64], part: f64) -> f64 {
    let last = count(sorted.len().saturating_sub(1));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the number of values"
    )]
    let place = (last * part).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_two_or_three_numbers() {
        let read = |text: &str| {
            text.parse::<Limits>()
                .map(|it| (it.shares, it.writes_in_flight, it.requests_per_second))
        };
        assert_eq!(read("30:2"), Ok((30, 2, None)));
        assert_eq!(read("30:32:100"), Ok((30, 32, Some(100))));
        for wrong in ["30", "30:", "30:2:", "30:2:1:1", "a:b"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
