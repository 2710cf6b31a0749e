//! Parts of the schema that several fields share: the rules of the API server (CEL) and the bounds
//! that keep their estimated cost within its budget.
//!
//! A structural bound that is exceeded (`maxLength`, `maxItems`) keeps the API server from looking
//! at any rule, so bounds are wider than rules wherever a rule has something better to say.

use kube::core::Rule;
use kube::core::cel::Message;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::rule::{self, ReservedKeys};

/// Most entries of a map.
const ENTRIES: u32 = 32;
/// Most entries of a map that selects pods.
const SELECTED: u32 = 16;

/// Labels for namespaces.
pub(super) fn labels(_: &mut SchemaGenerator) -> Schema {
    let mut rules = vec![keys()];
    rules.extend(rule::RESERVED_KEYS.iter().map(reserved));
    map(&label(), &rules)
}

/// Annotations for namespaces.
pub(super) fn annotations(_: &mut SchemaGenerator) -> Schema {
    let mut rules = vec![keys()];
    rules.extend(rule::RESERVED_KEYS.iter().map(reserved));
    map(&json!({"type": "string", "maxLength": 4096}), &rules)
}

/// Labels that a node must have.
pub(super) fn selector(_: &mut SchemaGenerator) -> Schema {
    map(&label(), &[keys()])
}

/// Labels that a pod must have, at least one.
pub(super) fn pod_selector(_: &mut SchemaGenerator) -> Schema {
    let some = Rule::new("self.size() > 0").message(rule::EMPTY_SELECTOR);
    let short = short(rule::LONG_SELECTOR);
    bounded_map(SELECTED, &label(), &[keys(), some, short])
}

/// Labels that an exempt namespace must have, at least one.
pub(super) fn exempt_selector(_: &mut SchemaGenerator) -> Schema {
    let some = Rule::new("self.size() > 0").message(rule::EMPTY_EXEMPT_SELECTOR);
    let short = short(rule::LONG_EXEMPT_SELECTOR);
    bounded_map(SELECTED, &label(), &[keys(), some, short])
}

/// Labels that fit into a selector of Calico.
fn short(text: &str) -> Rule {
    Rule::new(format!(
        "self.size() <= {} && self.map(k, k.size() + self[k].size()).sum() <= {}",
        rule::SELECTOR_LABELS,
        rule::SELECTOR_LENGTH
    ))
    .message(text)
}

/// Hard limits of a quota.
pub(super) fn quota(generator: &mut SchemaGenerator) -> Schema {
    let standard = list(&[rule::MEASURED_RESOURCES, rule::COUNTED_RESOURCES].concat());
    let counted = list(rule::COUNTED_RESOURCES);
    let known = format!(
        "{QUALIFIED} && (k.contains('/') || k in {standard} || k.startsWith('hugepages-') || \
         k.startsWith('requests.hugepages-'))"
    );
    let whole = format!(
        "!(k in {counted}) || !{} || quantity(self[k]).isInteger()",
        is_quantity("self[k]")
    );
    quantities(
        generator,
        &[
            each(&known, rule::QUOTA_RESOURCE),
            each(&whole, rule::FRACTION),
        ],
    )
}

/// Resources of a container.
pub(super) fn resources(generator: &mut SchemaGenerator) -> Schema {
    let standard = list(rule::CONTAINER_RESOURCES);
    let known = format!(
        "{QUALIFIED} && (k in {standard} || k.startsWith('hugepages-') || (k.contains('/') && \
         (k.contains('kubernetes.io/') || !k.startsWith('requests.'))))"
    );
    quantities(generator, &[each(&known, rule::CONTAINER_RESOURCE)])
}

/// Ranges of addresses.
pub(super) fn each_range() -> Rule {
    let is_range = "isCIDR(r) && cidr(r) == cidr(r).masked()";
    Rule::new(format!("self.all(r, {is_range})")).message(rule::RANGE)
}

/// Names that a firewall matches.
pub(super) fn each_fqdn() -> Rule {
    let label = "[a-z0-9]([a-z0-9-]*[a-z0-9])?";
    let good = format!("n.matches('^([*][.])?({label}[.])+{label}$')");
    Rule::new(format!("self.all(n, {good})")).message(rule::FQDN)
}

/// Ports from which a firewall reads names.
pub(super) fn fqdn_ports() -> Rule {
    let longest = rule::LAST_FQDN_PORT;
    Rule::new(format!(
        "!has(self.to.fqdns) || !has(self.ports) || \
         self.ports.all(p, p.protocol == 'TCP' && !has(p.endPort) && p.port <= {longest})"
    ))
    .message(about("ports", rule::FQDN_PORTS))
    .field_path(".ports")
}

/// Addresses or ranges of addresses.
pub(super) fn each_address() -> Rule {
    let is_range = "isCIDR(r) && cidr(r) == cidr(r).masked()";
    Rule::new(format!("self.all(r, isIP(r) || ({is_range}))")).message(rule::ADDRESS)
}

/// A range of a subnet.
pub(super) fn ipv4_range() -> Rule {
    let narrowest = rule::NARROWEST_SUBNET;
    Rule::new(format!(
        "isCIDR(self) && cidr(self) == cidr(self).masked() && cidr(self).ip().family() == 4 && \
         cidr(self).prefixLength() <= {narrowest}"
    ))
    .message(rule::SUBNET_RANGE)
}

/// The id of a subscription.
pub(super) fn uuid() -> Rule {
    Rule::new(format!("self.matches('^{UUID}$')")).message(rule::SUBSCRIPTION)
}

/// A name of a resource of Azure.
pub(super) fn azure_name(longest: usize) -> Rule {
    Rule::new(format!(
        "self.matches('^{AZURE_NAME}$') && self.size() <= {longest}"
    ))
    .message(Message::Message(rule::azure_name(longest)))
}

/// The id of a resource of a type, without case.
pub(super) fn resource_id(kind: &str) -> Rule {
    let kind_without_case = kind.replace('.', "[.]");
    Rule::new(format!(
        "self.matches('^(?i:/subscriptions/{UUID}/resourceGroups/{AZURE_NAME}/providers/\
         {kind_without_case}/{AZURE_NAME})$')"
    ))
    .message(Message::Message(rule::resource_id(kind)))
}

const UUID: &str = "[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}";
const AZURE_NAME: &str = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9_])?";

/// Names of cluster roles.
pub(super) fn each_role() -> Rule {
    Rule::new("self.all(r, !r.contains('/') && !r.contains('%') && r != '.' && r != '..')")
        .message(rule::ROLE)
}

/// Keys of labels.
pub(super) fn each_key() -> Rule {
    keys()
}

/// Keys of labels that a landing zone can set.
pub(super) fn each_settable() -> Rule {
    let reserved: Vec<String> = rule::RESERVED_KEYS.iter().map(is_reserved).collect();
    each(
        &format!("!({})", reserved.join(" || ")),
        rule::UNSETTABLE_LABEL,
    )
}

/// What a status tells: it repeats no rule, since those have been kept, and the API server counts what
/// each would cost.
pub(super) fn told<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    without::<T>("x-kubernetes-validations", generator)
}

/// A choice that the field describes, since several fields have it: else each would be described as its type is.
pub(super) fn described_by_field<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    without::<T>("description", generator)
}

fn without<T: JsonSchema>(key: &str, generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<Option<T>>().to_value();
    forget(key, &mut schema);
    Schema::try_from(schema).unwrap_or_default()
}

fn forget(key: &str, schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove(key);
            fields.values_mut().for_each(|it| forget(key, it));
        }
        Value::Array(items) => items.iter_mut().for_each(|it| forget(key, it)),
        _ => {}
    }
}

/// Labels as a status tells them.
pub(super) fn told_labels(_: &mut SchemaGenerator) -> Schema {
    map(&json!({"type": "string", "maxLength": 63}), &[])
}

/// Whether a range `r` reaches most of the internet.
pub(super) fn wide_range() -> String {
    format!(
        "cidr(r).prefixLength() < (cidr(r).ip().family() == 4 ? {} : {})",
        rule::NARROWEST_WIDE_V4 + 1,
        rule::NARROWEST_WIDE_V6 + 1
    )
}

/// Whether a range `r` is little more than one of Azure's own addresses.
pub(super) fn metadata_range() -> String {
    let holds: Vec<String> = rule::METADATA_ADDRESSES
        .iter()
        .map(|address| format!("cidr(r).containsIP('{address}')"))
        .collect();
    format!(
        "cidr(r).prefixLength() >= {} && ({})",
        rule::WIDEST_METADATA_RANGE,
        holds.join(" || ")
    )
}

/// Ranges of which `seldom_meant` holds are acknowledged.
pub(super) fn acknowledged(seldom_meant: &str, by: &str, text: &str) -> Rule {
    let meant = format!("has(self.acknowledge) && self.acknowledge == '{by}'");
    let found = format!("isCIDR(r) && {seldom_meant}");
    Rule::new(format!(
        "!has(self.to.cidrs) || ({meant}) || !self.to.cidrs.exists(r, {found})"
    ))
    .message(after(
        &format!("self.name + ': ' + self.to.cidrs.filter(r, {found})[0]"),
        text,
    ))
    .field_path(".to.cidrs")
}

/// A day.
pub(super) fn date() -> Rule {
    Rule::new("!format.date().validate(self).hasValue()").message(rule::DATE)
}

/// Ports that stand once each.
pub(super) fn distinct_ports() -> Rule {
    Rule::new(
        "self.all(p, self.exists_one(q, q.protocol == p.protocol && q.port == p.port && \
         (has(q.endPort) ? q.endPort : q.port) == (has(p.endPort) ? p.endPort : p.port)))",
    )
    .message(about("a port", rule::TWICE))
}

/// A name of at most 40 characters.
pub(super) fn short_name() -> Rule {
    Rule::new(format!("self.size() <= {}", rule::LONGEST_NAME)).message(rule::TOO_LONG)
}

/// Names that are DNS labels of at most 40 characters.
pub(super) fn each_name() -> Rule {
    let is_name = format!(
        "n.size() <= {} && !format.dns1123Label().validate(n).hasValue()",
        rule::LONGEST_NAME
    );
    Rule::new(format!("self.all(n, {is_name})")).message(about("a name", rule::DNS_LABEL))
}

/// A DNS label.
pub(super) fn dns_label() -> Rule {
    Rule::new("!format.dns1123Label().validate(self).hasValue()").message(rule::DNS_LABEL)
}

/// Names that are DNS labels.
pub(super) fn each_dns_label() -> Rule {
    let good = "!format.dns1123Label().validate(n).hasValue()";
    Rule::new(format!("self.all(n, {good})")).message(after(
        &format!("self.filter(n, !({good}))[0]"),
        rule::DNS_LABEL,
    ))
}

/// A label value that is not empty.
pub(super) fn label_value() -> Rule {
    Rule::new("self != '' && !format.labelValue().validate(self).hasValue()")
        .message(rule::LABEL_VALUE)
}

/// Text that people read.
pub(super) fn one_line() -> Rule {
    Rule::new(r"self.trim() != '' && !self.matches('\\p{Cc}')").message(rule::ONE_LINE)
}

/// A number that is a port.
pub(super) fn port() -> Rule {
    Rule::new("self >= 1 && self <= 65535").message(rule::PORT)
}

/// Numbers that are ports.
pub(super) fn each_port() -> Rule {
    // Writing a number out counts as dear.
    Rule::new("self.all(p, p >= 1 && p <= 65535)").message(about("one of them", rule::PORT))
}

/// A namespace that is the cluster's own.
pub(super) fn not_exempt() -> Rule {
    let exempt = list(rule::BUILT_IN_EXEMPT_NAMESPACES);
    Rule::new(format!("!(self in {exempt}) && !self.startsWith('kube-')"))
        .message(after("self", rule::EXEMPT_NAMESPACE))
}

/// No quantity of the map `lower` is more than that of the map `upper`.
pub(super) fn ordered(lower: &str, upper: &str) -> Rule {
    let low = format!("self.{lower}[k]");
    let high = format!("self.{upper}[k]");
    let fits = format!(
        "!(k in self.{upper}) || !{} || !{} || \
         quantity({low}).compareTo(quantity({high})) <= 0",
        is_quantity(&low),
        is_quantity(&high),
    );
    Rule::new(format!(
        "!has(self.{lower}) || !has(self.{upper}) || self.{lower}.all(k, {fits})"
    ))
    .message(after(
        &format!("self.{lower}.filter(k, !({fits}))[0]"),
        &format!("is more than {upper}: lower it, or raise {upper}"),
    ))
    .field_path(format!(".{lower}"))
}

/// Devices and huge pages are requested as they are limited.
pub(super) fn no_overcommit() -> Rule {
    let equal = |upper: &str| {
        format!(
            "(!{} || !{} || quantity(self.defaultRequest[k]).compareTo(\
             quantity(self.{upper}[k])) == 0)",
            is_quantity("self.defaultRequest[k]"),
            is_quantity(&format!("self.{upper}[k]")),
        )
    };
    Rule::new(format!(
        "!has(self.defaultRequest) || self.defaultRequest.all(k, \
         !(k.startsWith('hugepages-') || (k.contains('/') && !k.contains('kubernetes.io/'))) || \
         (has(self.default) && k in self.default ? {} : \
         (!has(self.max) || !(k in self.max) || {})))",
        equal("default"),
        equal("max"),
    ))
    .message(about("a request", rule::OVERCOMMIT))
    .field_path(".defaultRequest")
}

/// Every zone that a flow names is the zone of a namespace.
pub(super) fn flow_zones(end: &str) -> Rule {
    let known = format!("self.namespaces.exists(n, n.zone == f.{end}.zone)");
    let lost =
        format!("self.network.flows[self.network.flows.transformList(i, f, !{known}, i)[0]]");
    Rule::new(format!(
        "!has(self.network) || !has(self.network.flows) || self.network.flows.all(f, {known})"
    ))
    .message(after(
        &format!("'flow ' + {lost}.name + ', {end}.zone: ' + {lost}.{end}.zone"),
        rule::UNKNOWN_ZONE,
    ))
    .field_path(".network.flows")
}

/// No crossing leads to the landing zone that declares it.
pub(super) fn not_itself(list: &str, peer: &str) -> Rule {
    let name = "self.metadata.name";
    Rule::new(format!(
        "!has(self.spec.network) || !has(self.spec.network.{list}) || \
         self.spec.network.{list}.all(c, !has(c.{peer}.landingZone) || c.{peer}.landingZone != {name})"
    ))
    .message(after(
        &format!("'spec.network.{list}: ' + {name}"),
        rule::OWN_LANDING_ZONE,
    ))
}

/// Every zone of this landing zone that a crossing names is the zone of a namespace.
pub(super) fn crossing_zones(list: &str, end: &str) -> Rule {
    let known = format!(
        "!has(c.{end}) || !has(c.{end}.zone) || self.namespaces.exists(n, n.zone == c.{end}.zone)"
    );
    let entries = format!("self.network.{list}");
    let stray = format!("{entries}[{entries}.transformList(i, c, !({known}), i)[0]]");
    Rule::new(format!(
        "!has(self.network) || !has(self.network.{list}) || self.network.{list}.all(c, {known})"
    ))
    .message(after(
        &format!("'{list} ' + {stray}.name + ', {end}.zone'"),
        rule::UNKNOWN_ZONE,
    ))
    .field_path(format!(".network.{list}"))
}

/// Every zone that an access entry names is the zone of a namespace.
pub(super) fn access_zones() -> Rule {
    let known = "!has(a.zones) || sets.contains(self.namespaces.map(n, n.zone), a.zones)";
    // Naming the zone as well would cost more than the API server allows.
    let entry = format!("self.access[self.access.transformList(i, a, !({known}), i)[0]]");
    Rule::new(format!("!has(self.access) || self.access.all(a, {known})"))
        .message(after(
            &format!("'a zone in the access of ' + {entry}.name"),
            rule::UNKNOWN_ZONE,
        ))
        .field_path(".access")
}

/// Every namespace that has a quota has one for each resource that has a total. Of the others only the
/// operator knows what they get by default.
pub(super) fn all_bounded() -> Rule {
    let bounded = "!has(n.quota) || n.quota.size() == 0 || r in n.quota";
    Rule::new(format!(
        "!has(self.quotaTotal) || self.quotaTotal.all(r, self.namespaces.all(n, {bounded}))"
    ))
    .message(after(
        &format!(
            "self.namespaces[self.namespaces.transformList(i, n, \
         !self.quotaTotal.all(r, {bounded}), i)[0]].name"
        ),
        rule::UNBOUNDED,
    ))
    .field_path(".namespaces")
}

/// The quotas add up to no more than the total. Floating point is all that CEL can add up: the
/// tolerance forgives what it gets wrong, and the exact sum is compared by the operator.
pub(super) fn within_total() -> Rule {
    let part = is_quantity("n.quota[r]");
    let within = format!(
        "!{} || self.namespaces.map(n, has(n.quota) && r in n.quota && {part} ? \
         quantity(n.quota[r]).asApproximateFloat() : 0.0).sum() \
         <= quantity(self.quotaTotal[r]).asApproximateFloat() * 1.000000001",
        is_quantity("self.quotaTotal[r]"),
    );
    Rule::new(format!(
        "!has(self.quotaTotal) || self.quotaTotal.all(r, {within})"
    ))
    .message(after(
        &format!("self.quotaTotal.filter(r, !({within}))[0]"),
        rule::OVER_TOTAL,
    ))
    .field_path(".quotaTotal")
}

/// `text` about a named field, where the API server does not show the value.
pub(super) fn about(field: &str, text: &str) -> Message {
    Message::Message(format!("{field} {text}"))
}

/// `text` after what the CEL expression `subject` yields.
pub(super) fn after(subject: &str, text: &str) -> Message {
    let text = text.replace('\\', r"\\").replace('\'', r"\'");
    Message::Expression(format!("{subject} + ' {text}'"))
}

/// Whether the key `k` is well formed.
const QUALIFIED: &str = "!format.qualifiedName().validate(k).hasValue()";

fn map(value: &Value, rules: &[Rule]) -> Schema {
    bounded_map(ENTRIES, value, rules)
}

fn bounded_map(entries: u32, value: &Value, rules: &[Rule]) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": entries,
        "additionalProperties": value,
        "x-kubernetes-validations": rules,
    })
}

fn label() -> Value {
    let rule =
        Rule::new("!format.labelValue().validate(self).hasValue()").message(rule::LABEL_VALUE);
    json!({"type": "string", "maxLength": 63, "x-kubernetes-validations": [rule]})
}

fn quantities(generator: &mut SchemaGenerator, rules: &[Rule]) -> Schema {
    let quantity = generator.subschema_for::<super::QuantityText>();
    map(&quantity.to_value(), rules)
}

/// What every quantity must be.
pub(super) fn quantity_rules() -> [Rule; 2] {
    let parses = is_quantity("self");
    let not_negative = format!("!{parses} || quantity(self).compareTo(quantity('0')) >= 0");
    [
        Rule::new(parses).message(rule::QUANTITY),
        Rule::new(not_negative).message(rule::NEGATIVE),
    ]
}

fn keys() -> Rule {
    each(QUALIFIED, rule::QUALIFIED_NAME)
}

fn reserved(reserved: &ReservedKeys) -> Rule {
    each(&format!("!({})", is_reserved(reserved)), reserved.rule)
}

/// Whether the key `k` is one of these.
fn is_reserved(reserved: &ReservedKeys) -> String {
    let mut parts = Vec::new();
    if !reserved.names.is_empty() {
        parts.push(format!("k in {}", list(reserved.names)));
    }
    if !reserved.domains.is_empty() {
        let domains = reserved.domains.join("|").replace('.', "[.]");
        parts.push(format!("k.matches('^([^/]+[.])?({domains})/')"));
    }
    parts.join(" || ")
}

/// Every key `k` of a map keeps the rule; the message names the first that does not.
fn each(keeps: &str, text: &str) -> Rule {
    Rule::new(format!("self.all(k, {keeps})"))
        .message(after(&format!("self.filter(k, !({keeps}))[0]"), text))
}

fn is_quantity(value: &str) -> String {
    format!("isQuantity({value})")
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("[{}]", quoted.join(", "))
}
