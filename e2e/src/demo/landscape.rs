//! What came to be, as a tree, and whether it is as declared.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use landing_zone_operator::api::{LandingZone, NamespaceSpec, names};
use landing_zone_operator::controller::Kind;
use serde_json::Value;

use super::meaning::{Direction, Passage, meaning, passages, title};
use super::owned::{Owned, read_all};
use super::page::{Branch, Page};
use super::stage::Stage;

/// Shows the landing zone, and checks it against its declaration. Returns its objects.
pub(super) async fn show(stage: &Stage, zone: &LandingZone, page: &mut Page) -> Result<Vec<Owned>> {
    page.heading("A governed landing zone out");
    let objects = read_all(&stage.client(), zone).await?;
    page.say("Read back from the API server:");
    page.tree(
        &Landscape {
            zone,
            objects: &objects,
        }
        .tree()?,
    );
    check(zone, &objects, page);
    Ok(objects)
}

struct Landscape<'a> {
    zone: &'a LandingZone,
    objects: &'a [Owned],
}

impl Landscape<'_> {
    fn tree(&self) -> Result<Branch> {
        let status = self.zone.status.as_ref().context("no status")?;
        let effective = status.effective.as_ref().context("no values in force")?;
        let name = name(self.zone);
        let spec = &self.zone.spec;
        let text = format!(
            "code {}, stage {:?}, policies as {}{}",
            spec.application_code,
            effective.stage,
            effective.flavour,
            if effective.tiers { " in tiers" } else { "" },
        );
        let mut below: Vec<Branch> = spec.namespaces.iter().map(|n| self.namespace(n)).collect();
        let cluster_wide = [
            (
                Kind::GlobalNetworkPolicy,
                "policies",
                "in this order, the first that decides counts",
            ),
            (
                Kind::ClusterRole,
                "cluster roles",
                "for everybody with access",
            ),
        ];
        for (kind, what, text) in cluster_wide {
            let branches: Vec<Branch> = match kind {
                Kind::GlobalNetworkPolicy => self.policies(None),
                _ => self.of(kind, None).map(role).collect(),
            };
            if !branches.is_empty() {
                below.push(Branch::new(what, text).over(branches));
            }
        }
        Ok(Branch::new(name, text).over(below))
    }

    fn of(&self, kind: Kind, namespace: Option<&str>) -> impl Iterator<Item = &Owned> {
        self.objects.iter().filter(move |object| {
            object.key.kind == kind && object.key.namespace.as_deref() == namespace
        })
    }

    fn namespace(&self, declared: &NamespaceSpec) -> Branch {
        let name = declared.name.as_str();
        let mut below = Vec::new();
        let itself = self
            .of(Kind::Namespace, None)
            .find(|object| *object.key.name == *name);
        if let Some(itself) = itself {
            below.push(Branch::new("labels", labels(itself)));
        }
        for quota in self.of(Kind::ResourceQuota, Some(name)) {
            below.push(Branch::new(
                "quota",
                map(&quota.object.data["spec"]["hard"]),
            ));
        }
        for limits in self.of(Kind::LimitRange, Some(name)) {
            below.push(Branch::new("limits", limits_of(limits)));
        }
        let bindings = self
            .of(Kind::RoleBinding, Some(name))
            .map(|it| self.binding(it));
        let bindings: Vec<String> = bindings.collect();
        if !bindings.is_empty() {
            below.push(Branch::new("access", bindings.join("; ")));
        }
        if let Some(itself) = itself {
            below.extend(placement(itself));
        }
        below.extend(self.policies(Some(name)));
        let zone = itself
            .and_then(|it| it.label(names::ZONE))
            .unwrap_or("none");
        Branch::new(name, format!("zone {zone}")).over(below)
    }

    fn policies(&self, namespace: Option<&str>) -> Vec<Branch> {
        let zones = zones(self.zone);
        let kind = match namespace {
            Some(_) => Kind::NetworkPolicy,
            None => Kind::GlobalNetworkPolicy,
        };
        let mut policies: Vec<&Owned> = self.of(kind, namespace).collect();
        let order = |policy: &&Owned| title(policy, name(self.zone)).1.unwrap_or_default();
        policies.sort_by(|one, other| order(one).total_cmp(&order(other)));
        let orders = policies
            .iter()
            .filter_map(|policy| title(policy, name(self.zone)).1);
        let digits = orders
            .map(|order| order.to_string().len())
            .max()
            .unwrap_or_default();
        let branch = |policy: &&Owned| {
            let (short, order) = title(policy, name(self.zone));
            let text = meaning(policy, &zones);
            match order {
                Some(order) => Branch::new(format!("{order:>digits$} {short}"), text),
                None => Branch::new("policy", format!("{short}: {text}")),
            }
        };
        policies.iter().map(branch).collect()
    }

    /// Groups of Entra ID have ids for names; the declaration knows how people call them.
    fn binding(&self, binding: &Owned) -> String {
        let data = &binding.object.data;
        let subjects = data["subjects"].as_array().into_iter().flatten();
        let subjects: Vec<String> = subjects
            .map(|subject| {
                let name = text(&subject["name"]);
                let known = self
                    .zone
                    .spec
                    .access
                    .iter()
                    .find(|entry| entry.name == name);
                let shown = known
                    .and_then(|entry| entry.display_name.clone())
                    .unwrap_or(name);
                format!("{} “{shown}”", text(&subject["kind"]).to_lowercase())
            })
            .collect();
        format!(
            "{} for {}",
            text(&data["roleRef"]["name"]),
            subjects.join(", ")
        )
    }
}

/// Checks what the tree shows against the declaration.
fn check(zone: &LandingZone, objects: &[Owned], page: &mut Page) {
    let name = name(zone);
    let owned = objects
        .iter()
        .all(|object| object.label(names::OWNER) == Some(name));
    let count = objects.len();
    page.fact(
        owned && count > 0,
        &format!("All {count} objects of the inventory exist and carry the label of ownership."),
    );
    let of = |kind: Kind, namespace: &str| {
        let found = objects.iter().filter(move |object| object.key.kind == kind);
        let namespace = namespace.to_owned();
        found.filter(move |object| object.key.in_namespace() == Some(namespace.as_str()))
    };
    let labels = zone.spec.namespaces.iter().all(|declared| {
        of(Kind::Namespace, &declared.name).any(|it| {
            it.label(names::APPLICATION_CODE) == Some(&zone.spec.application_code)
                && it.label(names::ZONE) == Some(&declared.zone)
                && zone
                    .spec
                    .labels
                    .iter()
                    .all(|(key, value)| it.label(key) == Some(value))
        })
    });
    page.fact(
        labels,
        "Each namespace carries the application's code and its zone.",
    );
    let bounded = zone.spec.namespaces.iter().all(|declared| {
        let hard = declared.quota.iter();
        let mut hard = hard.map(|(resource, amount)| (resource, amount.0.as_str()));
        let quota = of(Kind::ResourceQuota, &declared.name).next();
        let limits = of(Kind::LimitRange, &declared.name).next();
        declared.limits.is_some() == limits.is_some()
            && hard.all(|(resource, amount)| {
                quota.is_some_and(|it| it.object.data["spec"]["hard"][resource] == amount)
            })
    });
    page.fact(bounded, "Quotas and limits are as declared.");
    let access = zone.spec.access.iter().all(|entry| {
        let everywhere = entry.zones.is_empty();
        let mut namespaces = zone.spec.namespaces.iter();
        namespaces.all(|declared| {
            let meant = everywhere || entry.zones.contains(&declared.zone);
            let mut bindings = of(Kind::RoleBinding, &declared.name);
            let bound = bindings.any(|it| {
                let subjects = it.object.data["subjects"].as_array();
                it.object.data["roleRef"]["name"] == entry.role.as_str()
                    && subjects
                        .into_iter()
                        .flatten()
                        .any(|it| it["name"] == entry.name.as_str())
            });
            bound == meant
        })
    });
    page.fact(
        access,
        "Each role is bound where it is declared, and nowhere else.",
    );
    flows(zone, objects, page);
}

/// A flow must leave its one end and be let in at the other; against it, nothing passes.
fn flows(zone: &LandingZone, objects: &[Owned], page: &mut Page) {
    let zones = zones(zone);
    let allowed = |direction: Direction| -> Vec<Passage> {
        let policies = objects.iter().filter(|object| object.key.kind.is_policy());
        policies
            .flat_map(|policy| passages(policy, &zones, direction))
            .collect()
    };
    let (leave, enter) = (allowed(Direction::Out), allowed(Direction::In));
    let declared = zone.spec.network.iter().flat_map(|network| &network.flows);
    let declared: Vec<Passage> = declared
        .map(|flow| {
            let ports = flow.ports.iter().map(|port| {
                let end = port.end_port.map_or(String::new(), |end| format!("-{end}"));
                format!("{:?} {}{end}", port.protocol, port.port)
            });
            Passage {
                from: flow.from.zone.clone(),
                to: flow.to.zone.clone(),
                ports: ports.collect::<Vec<_>>().join(", "),
            }
        })
        .collect();
    for flow in &declared {
        let Passage { from, to, ports } = flow;
        page.fact(
            leave.contains(flow) && enter.contains(flow),
            &format!("{from} → {to} {ports} may leave at the one end and enter at the other."),
        );
    }
    let undeclared = leave.iter().chain(&enter);
    let undeclared = undeclared.filter(|it| it.from != it.to && !declared.contains(it));
    page.fact(
        undeclared.count() == 0,
        "Nothing else passes between the zones.",
    );
}

fn labels(namespace: &Owned) -> String {
    let labels = namespace.object.metadata.labels.iter().flatten();
    // What Kubernetes and the operator put on it tells the reader nothing.
    let silent = [
        names::OWNER,
        names::MANAGED_BY,
        "kubernetes.io/metadata.name",
    ];
    let enforce = format!("{}enforce", names::POD_SECURITY_PREFIX);
    let told = labels.filter(|(key, _)| {
        !silent.contains(&key.as_str())
            && (!key.starts_with(names::POD_SECURITY_PREFIX) || **key == enforce)
    });
    let told: Vec<String> = told.map(|(key, value)| format!("{key}={value}")).collect();
    told.join(", ")
}

fn limits_of(limits: &Owned) -> String {
    let items = limits.object.data["spec"]["limits"].as_array();
    let mut parts = Vec::new();
    for item in items.into_iter().flatten() {
        for (field, shown) in [
            ("default", "default"),
            ("defaultRequest", "request"),
            ("max", "max"),
            ("min", "min"),
        ] {
            if item[field].is_object() {
                parts.push(format!("{shown} {}", map(&item[field])));
            }
        }
    }
    parts.join("; ")
}

/// The annotations that the admission plugins of AKS read.
fn placement(namespace: &Owned) -> Option<Branch> {
    let selector = namespace.annotation(names::NODE_SELECTOR)?;
    let tolerations = namespace
        .annotation(names::DEFAULT_TOLERATIONS)
        .unwrap_or("[]");
    let tolerations: Value = serde_json::from_str(tolerations).ok()?;
    let tolerated = tolerations.as_array().into_iter().flatten().map(|it| {
        format!(
            "{}={}:{}",
            text(&it["key"]),
            text(&it["value"]),
            text(&it["effect"])
        )
    });
    let tolerated: Vec<String> = tolerated.collect();
    let tolerated = match tolerated.as_slice() {
        [] => String::new(),
        some => format!(", whose taint {} is tolerated", some.join(", ")),
    };
    Some(Branch::new(
        "placement",
        format!("on nodes with {selector}{tolerated}"),
    ))
}

fn role(role: &Owned) -> Branch {
    let rules = role.object.data["rules"].as_array().into_iter().flatten();
    let rules = rules.map(|rule| {
        let words = |field: &str| -> String {
            let words = rule[field].as_array().into_iter().flatten().map(text);
            words.collect::<Vec<_>>().join(", ")
        };
        let names = words("resourceNames");
        format!("{} {} {names}", words("verbs"), words("resources"))
    });
    Branch::new(&*role.key.name, rules.collect::<Vec<_>>().join("; "))
}

/// The zone of each namespace.
fn zones(zone: &LandingZone) -> BTreeMap<String, String> {
    let namespaces = zone.spec.namespaces.iter();
    namespaces
        .map(|it| (it.name.clone(), it.zone.clone()))
        .collect()
}

fn name(zone: &LandingZone) -> &str {
    zone.metadata.name.as_deref().unwrap_or_default()
}

fn map(value: &Value) -> String {
    let fields = value.as_object().into_iter().flatten();
    let fields = fields.map(|(key, value)| format!("{key} {}", text(value)));
    fields.collect::<Vec<_>>().join(", ")
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
