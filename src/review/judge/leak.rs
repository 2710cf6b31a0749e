//! Whether something outside a boundary gets through a rule, and who.

use std::collections::BTreeSet;

use super::opened::Around;
use super::suggest::{DeclaredPorts, PortName, Wanted, as_declared, numbered, words};
use super::walk::{Form, WalkedRule};
use super::witness::in_words;
use super::{Judge, Selected, classify};
use crate::api::names::APPLICATION_CODE;
use crate::domain::FieldPath;
use crate::policy::{AddressSet, Selector, TooComplex, Way, example};
use crate::review::address::{Addresses, Holds, holds};
use crate::review::covered::Cover;
use crate::review::known::{Witness, a_pod, canonical, is_inside, outside_namespaces};
use crate::review::landscape::Boundary;
use crate::review::opening::ports::{Part, parts};
use crate::review::{Finding, Rule};

/// So many ranges are named.
const SHOWN: usize = 3;
/// So many landing zones of which a policy selects pods are told what to declare.
const MOST_SUGGESTED: usize = 4;

/// What gets through, before it is put into words for one place.
pub(super) struct Leak {
    pub(super) rule: Rule,
    /// Who gets through.
    pub(super) witness: Option<String>,
    /// The landing zone that it is in, where that is known.
    pub(super) landing_zone: Option<String>,
    /// What declares it.
    pub(super) declared: Option<String>,
    /// What the ranges hold, where it is about ranges.
    pub(super) holds: Option<String>,
    /// The ranges, where it is about ranges.
    pub(super) nets: Addresses,
    /// The ports that nothing declares, where others of the rule are declared, or could be.
    pub(super) ports: Option<String>,
    /// The ports that nothing declares, as a crossing has them.
    pub(super) declare: DeclaredPorts,
    /// Numbers among them of ports that the rule names.
    pub(super) numbered: Vec<(PortName, BTreeSet<u16>)>,
    /// What pods outside fulfil that get through, and that nothing declares; empty: it is not about pods.
    pub(super) who: Vec<Selector>,
    /// What else nothing declares, on other ports.
    pub(super) others: Vec<Leak>,
}

impl Leak {
    /// Something that nobody is named to get through.
    pub(super) fn of(rule: Rule) -> Self {
        Self {
            rule,
            witness: None,
            landing_zone: None,
            declared: None,
            holds: None,
            nets: Addresses::default(),
            ports: None,
            declare: DeclaredPorts::default(),
            numbered: Vec::new(),
            who: Vec::new(),
            others: Vec::new(),
        }
    }

    /// Whether all of `other` gets through here as well.
    fn holds(&self, other: &Self) -> bool {
        let is_same = self.witness == other.witness || !other.nets.is_empty();
        self.rule == other.rule && is_same && other.nets.without(&self.nets).is_empty()
    }
}

/// A rule and whom it is for.
pub(super) struct Case<'a, 'b> {
    pub(super) way: Way,
    pub(super) walked: &'b WalkedRule,
    pub(super) selected: &'b Selected<'a>,
    /// What is open on the ports that are asked about.
    pub(super) covers: Vec<&'b Cover>,
    /// What earlier rules decide.
    pub(super) earlier: &'b [Selector],
}

impl<'a> Judge<'a> {
    /// Finds what gets through a rule, for each of those that the policy is for: one finding, about the first of them.
    pub(super) fn leaks(
        &mut self,
        around: &Around<'_, 'a>,
        index: usize,
        walked: &WalkedRule,
        earlier: &[Selector],
    ) {
        let way = around.direction.way;
        let locals = self.locals(around);
        let mut declared: Option<(Leak, &Selected<'a>)> = None;
        let mut undeclared: Vec<(Leak, &Selected<'a>)> = Vec::new();
        let (mut all, mut more) = (0, 0);
        for (it, local) in around.selected.iter().zip(locals.iter()) {
            let covers = &local.covers;
            let found = if self.complex >= super::MOST_COMPLEX {
                Err(TooComplex)
            } else {
                self.leak_by_ports((way, walked, it, earlier), covers)
            };
            let leak = match found {
                Ok(None) => continue,
                Ok(Some(leak)) => leak,
                Err(TooComplex) => {
                    self.complex += 1;
                    Leak::of(Rule::TooComplex)
                }
            };
            all += 1;
            if leak.declared.is_some() {
                declared = declared.or(Some((leak, it)));
            } else if undeclared.len() < MOST_SUGGESTED {
                undeclared.push((leak, it));
            } else {
                more += 1;
            }
        }
        let is_several = undeclared.len() > 1;
        let mut suggestions = Vec::new();
        for (leak, selected) in &mut undeclared {
            numbered(leak, way, selected, self.landscape);
            let instead = Wanted {
                leak,
                walked,
                selected,
                way,
                landscape: self.landscape,
                is_several,
            };
            suggestions.push(instead.suggestion());
        }
        if more > 0 {
            suggestions.push(format!("{more} more landing zones likewise"));
        }
        // What nobody declares is what has to be told.
        let first = undeclared.into_iter().next().or(declared);
        if let Some((leak, selected)) = first {
            let undeclared = leak.declared.is_none();
            let left_out = undeclared.then(|| self.left_out(way, walked, selected, earlier));
            let own = left_out.flatten();
            let own = own.unwrap_or_else(|| selected.words.clone());
            let mut finding = told(leak, walked, (selected, &own), way, all - 1);
            finding.suggestion = suggestions.join("; ");
            finding.opening = Some(self.opening(around, index, walked));
            self.findings.push(finding);
        }
    }

    /// What gets through on any of a rule's ports: each may be declared by another crossing.
    pub(super) fn leak_by_ports(
        &self,
        (way, walked, selected, earlier): (Way, &WalkedRule, &Selected<'_>, &[Selector]),
        all: &[Cover],
    ) -> Result<Option<Leak>, TooComplex> {
        let left = walked.left_ports();
        if left.is_empty() {
            return Ok(None);
        }
        let parts = parts(&left, all);
        let mut declared: Vec<String> = Vec::new();
        let mut last = None;
        let mut undeclared: Vec<(Leak, Vec<&Part>)> = Vec::new();
        for part in &parts {
            let case = Case {
                way,
                walked,
                selected,
                covers: part.covers.iter().map(|it| &all[*it]).collect(),
                earlier,
            };
            let Some(leak) = self.leak(&case)? else {
                // Whoever is meant is inside, whatever the ports.
                return Ok(None);
            };
            let Some(what) = &leak.declared else {
                // On these ports, too, the same is not declared.
                match undeclared.iter_mut().find(|(known, _)| known.holds(&leak)) {
                    Some((_, parts)) => parts.push(part),
                    None => undeclared.push((leak, vec![part])),
                }
                continue;
            };
            let new = what.split("; ").map(str::to_owned);
            let new: Vec<_> = new.filter(|it| !declared.contains(it)).collect();
            declared.extend(new);
            last = Some(leak);
        }
        let mut undeclared = undeclared.into_iter();
        if let Some((leak, missing)) = undeclared.next() {
            let is_partly =
                missing.len() < parts.len() || missing.iter().any(|it| it.named.is_some());
            let others = undeclared.map(|(leak, missing)| Leak {
                declare: as_declared(&missing),
                ..leak
            });
            return Ok(Some(Leak {
                ports: (is_partly && !all.is_empty()).then(|| words(&missing)),
                declare: as_declared(&missing),
                others: others.collect(),
                ..leak
            }));
        }
        Ok(last.map(|leak| Leak {
            declared: Some(declared.join("; ")),
            ..leak
        }))
    }

    /// What gets through, whatever the ports.
    pub(super) fn leak(&self, case: &Case<'_, '_>) -> Result<Option<Leak>, TooComplex> {
        let end = &case.walked.end;
        if let Some((namespace, name)) = &end.service {
            return Ok(self.by_service(case, namespace, name));
        }
        let Some(selector) = &end.selector else {
            let nets = end.nets.clone();
            return Ok(match (nets, &end.not_selector) {
                (Some(nets), _) => self.by_nets(case, &Addresses::of_all_but(&nets, &end.not_nets)),
                (None, Some(_)) => Some(self.open(case, Rule::NotSelector)),
                (None, None) => Some(self.open(case, Rule::AnyPeer)),
            });
        };
        let mut meant = vec![canonical(selector.clone())];
        let not = end.not_selector.iter().cloned();
        meant.extend(not.map(|not| canonical(not).negate()));
        meant.extend(case.earlier.iter().cloned());

        let mut outside = meant.clone();
        outside.push(is_inside(case.selected.boundary).negate());
        // What is declared of one kind says nothing about the others.
        let mut declared = None;
        if let Some(witness) = a_pod(&outside, self.landscape)? {
            let mut leak = self.pods(case, outside, witness)?;
            if leak.declared.is_none() {
                self.add_sets(case, selector, &mut leak);
                return Ok(Some(leak));
            }
            declared = Some(leak);
        }
        let mut set: Option<Leak> = None;
        for leak in self.by_sets(case, selector) {
            if leak.declared.is_some() {
                declared = declared.or(Some(leak));
            } else if let Some(first) = &mut set {
                // All of them have to be declared.
                first.nets = first.nets.or(&leak.nets);
            } else {
                set = Some(leak);
            }
        }
        if set.is_some() {
            return Ok(set);
        }
        let found = example(&[outside_namespaces(&Selector::and(meant))])?;
        // Whoever has no namespace is no matter of declared pods, but where a set is declared, it is what was meant.
        let is_meant = matches!(&declared, Some(leak) if leak.rule == Rule::NetworkSet);
        if found.is_none() || is_meant {
            return Ok(declared);
        }
        Ok(Some(Leak {
            witness: Some("a global network set or a host with such labels".to_owned()),
            ..Leak::of(Rule::OutsideCluster)
        }))
    }

    /// Pods outside get through: some that nobody declares, where there are such.
    fn pods(
        &self,
        case: &Case<'_, '_>,
        mut outside: Vec<Selector>,
        any: Witness,
    ) -> Result<Leak, TooComplex> {
        let mut declared = Vec::new();
        for cover in &case.covers {
            let Some(pods) = &cover.pods else { continue };
            let mut both = outside.clone();
            both.push(pods.clone());
            if example(&both)?.is_some() {
                declared.push(cover.what.clone());
                outside.push(pods.clone().negate());
            }
        }
        let undeclared = if declared.is_empty() {
            Some(any.clone())
        } else {
            a_pod(&outside, self.landscape)?
        };
        let declared = undeclared.is_none().then(|| declared.join("; "));
        let witness = undeclared.unwrap_or(any);
        Ok(Leak {
            witness: Some(witness.words),
            landing_zone: witness.landing_zone,
            declared,
            who: outside,
            ..Leak::of(classify::rule(case.walked, case.selected.boundary))
        })
    }

    fn by_service(&self, case: &Case<'_, '_>, namespace: &str, name: &str) -> Option<Leak> {
        let whose = self.landscape.of_namespace(namespace);
        let service = (namespace.to_owned(), name.to_owned());
        let is_by_hand = self.landscape.services_by_hand.contains(&service);
        let is_own = whose.is_some_and(|(it, _)| std::ptr::eq(it, case.selected.boundary));
        if is_own && !is_by_hand {
            return None;
        }
        let mut covers = case.covers.iter();
        let cover = covers.find(|it| it.service == Some((namespace, name)));
        // The ports of a service are its own.
        let dns = (namespace, name) == ("kube-system", "kube-dns") && case.way == Way::Egress;
        let declared = cover.map(|it| it.what.clone());
        Some(Leak {
            witness: Some(if is_by_hand {
                format!(
                    "whatever addresses somebody writes behind the service {namespace}/{name}, which has no selector,"
                )
            } else {
                format!("whatever is behind the service {namespace}/{name}")
            }),
            landing_zone: whose
                .filter(|_| !is_own)
                .and_then(|(boundary, _)| boundary.landing_zone.clone()),
            declared: declared.or_else(|| dns.then(|| "the cluster's DNS".to_owned())),
            ..Leak::of(Rule::ByService)
        })
    }

    /// Nothing is said of the other end.
    fn open(&self, case: &Case<'_, '_>, rule: Rule) -> Leak {
        let outside = [is_inside(case.selected.boundary).negate()];
        let pod = a_pod(&outside, self.landscape).ok().flatten();
        let words = pod.as_ref().map_or("any pod outside", |it| &it.words);
        Leak {
            witness: Some(format!("{words}, or any address,")),
            landing_zone: pod.and_then(|it| it.landing_zone),
            who: outside.to_vec(),
            ..Leak::of(rule)
        }
    }

    fn by_nets(&self, case: &Case<'_, '_>, nets: &Addresses) -> Option<Leak> {
        if nets.is_empty() {
            return None;
        }
        let mut left = nets.clone();
        let mut declared = Vec::new();
        for cover in &case.covers {
            let open = Addresses::of_all_but(&cover.nets, &cover.except);
            if left.meets(&open) {
                declared.push(cover.what.clone());
                left = left.without(&open);
            }
        }
        let declared = left.is_empty().then(|| declared.join("; "));
        let shown = if left.is_empty() { nets } else { &left };
        let (held, words) = holds(shown, &self.landscape.platform);
        let rule = match held {
            Holds::Everything => Rule::NetsEverything,
            Holds::Metadata => Rule::NetsReachMetadata,
            Holds::Nodes => Rule::NetsReachNodes,
            Holds::Pods => Rule::NetsReachPods,
            Holds::Outside => Rule::NetsOutside,
        };
        let nets: Vec<_> = shown.nets().take(SHOWN).map(|it| it.to_string()).collect();
        let more = shown.nets().nth(SHOWN).map_or("", |_| " and more");
        Some(Leak {
            witness: Some(format!(
                "whoever has an address of {}{more}",
                nets.join(", ")
            )),
            declared,
            holds: Some(words),
            nets: shown.clone(),
            ..Leak::of(rule)
        })
    }

    /// Tells of network sets that are meant beside pods: they grow where nobody looks at the policy.
    fn add_sets(&self, case: &Case<'_, '_>, selector: &Selector, leak: &mut Leak) {
        let sets = self.by_sets(case, selector).into_iter();
        let undeclared = sets.filter(|it| it.declared.is_none());
        let words: Vec<_> = undeclared.filter_map(|it| it.witness).take(SHOWN).collect();
        if let Some(witness) = leak.witness.as_mut().filter(|_| !words.is_empty()) {
            *witness = format!("{witness}, or {}", words.join(" or "));
        }
    }

    /// Network sets that are meant; those of the landing zone itself are found where they are.
    fn by_sets(&self, case: &Case<'_, '_>, selector: &Selector) -> Vec<Leak> {
        let own = &case.selected.boundary.namespaces;
        let not = case.walked.end.not_selector.as_ref();
        let is_meant = |set: &&AddressSet| {
            selector.matches(&set.labels) && !not.is_some_and(|not| not.matches(&set.labels))
        };
        let is_foreign = |set: &&AddressSet| set.name.0.as_ref().is_none_or(|it| !own.contains(it));
        let sets = self
            .landscape
            .sets
            .iter()
            .map(AsRef::as_ref)
            .filter(is_meant)
            .filter(is_foreign);
        let found = sets.filter_map(|set| {
            let mut leak = self.by_nets(case, &Addresses::of(&set.nets))?;
            let (namespace, name) = &set.name;
            let name = match namespace {
                Some(namespace) => format!("{namespace}/{name}"),
                None => name.clone(),
            };
            leak.rule = Rule::NetworkSet;
            leak.witness = leak
                .witness
                .map(|it| format!("{it}, by the network set {name},"));
            Some(leak)
        });
        found.collect()
    }
}

fn told(
    leak: Leak,
    walked: &WalkedRule,
    (selected, own): (&Selected<'_>, &str),
    way: Way,
    others: usize,
) -> Finding {
    let boundary = selected.boundary;
    let path = match (&walked.blamed, leak.rule) {
        (Some((path, _)), _) => path.clone(),
        (None, Rule::AnyPeer) => walked.at.clone(),
        (None, _) => walked.end_at.clone(),
    };
    let path =
        if leak.holds.is_some() && leak.rule != Rule::NetworkSet && walked.form == Form::Calico {
            walked.end_at.key("nets")
        } else {
            path
        };
    let written = walked.blamed.as_ref().map(|(path, text)| {
        let field = FieldPath(path.0.last().cloned().into_iter().collect());
        format!("{field} \"{text}\" ")
    });
    let written = written.unwrap_or_default();
    let message = message(&leak, &written, boundary);
    let mut witness = leak.witness.as_ref().map(|who| in_words(way, who, own));
    // Of the same pods other ports can be declared.
    if let (Some(witness), Some(ports)) = (&mut witness, &leak.ports) {
        *witness = format!("{witness} on {ports}, which no crossing declares");
    }
    if others > 0
        && let Some(witness) = &mut witness
    {
        let zones = if others == 1 { "zone" } else { "zones" };
        *witness = format!("{witness} ({others} more landing {zones} likewise)");
    }
    Finding {
        rule: leak.rule,
        path,
        message,
        witness,
        suggestion: String::new(),
        declared: leak.declared,
        waived: None,
        opening: None,
    }
}

fn message(leak: &Leak, written: &str, boundary: &Boundary) -> String {
    let code = &boundary.code;
    let holds = leak.holds.as_deref().unwrap_or_default();
    match leak.rule {
        Rule::CodeMissing => format!("{written}does not ask for {APPLICATION_CODE} == '{code}'"),
        Rule::CodeWrong => {
            format!("{written}asks for another application than {code}, whose policy it is")
        }
        Rule::CodeNegated => {
            format!(
                "{written}means everybody but some applications, so also those that are not {code}"
            )
        }
        Rule::CodeOptional => {
            format!("{written}asks for {APPLICATION_CODE} == '{code}' in one alternative only")
        }
        Rule::NamespaceName => format!("{written}names a namespace that is not of {boundary}"),
        Rule::NamespaceLabels => {
            format!("{written}asks for labels that namespaces of others can have, too")
        }
        Rule::AllNamespaces => format!("{written}means every namespace of the cluster"),
        Rule::OutsideCluster => {
            format!("{written}means what lies in no namespace: global network sets and hosts")
        }
        Rule::NotSelector => {
            format!("{written}means everything else that there is, any address included")
        }
        Rule::ServiceAccounts => format!("{written}means service accounts of every namespace"),
        Rule::ByService => {
            "a service outside, or one without selector, decides who is meant".to_owned()
        }
        Rule::NetworkSet => format!("{written}means a network set that holds {holds}"),
        Rule::NetsEverything
        | Rule::NetsReachMetadata
        | Rule::NetsReachNodes
        | Rule::NetsReachPods
        | Rule::NetsOutside => format!("the ranges hold {holds}"),
        Rule::TooComplex => {
            format!("{written}is too complex to judge, so it has to be taken for open")
        }
        _ => "nothing is said of the other end, so everybody is meant".to_owned(),
    }
}
