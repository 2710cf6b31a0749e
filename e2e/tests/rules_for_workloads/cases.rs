//! What teams write, and what the rules say of it.

#![allow(
    clippy::needless_pass_by_value,
    reason = "what is passed is written where it is passed"
)]

use serde_json::{Value, json};

/// A port that is never allowed.
pub const BAD: u16 = 8081;

/// The rules of the tests, in a stage.
pub fn rules(stage: &str) -> Value {
    json!({
        "httpsIngress": stage,
        "servicePorts": {"stage": stage, "allowed": [80, 443, 5432]},
        "externalIPs": {"stage": stage, "allowed": ["192.0.2.4", "198.51.100.0/28", "2001:db8:1::/64", "2001:db8:2::1"]},
        "hostNetwork": {"stage": stage, "allowedPorts": [9100]},
    })
}

/// An object, and words that the rules say of it; none where it is as it should be.
pub type Case = (Value, Option<&'static str>);

pub fn ingress(annotations: Value, spec: Value) -> Value {
    let mut annotations = annotations;
    if annotations.is_null() {
        annotations = json!({"kubernetes.io/ingress.allow-http": "false"});
    }
    let mut object = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress",
        "metadata": {"annotations": annotations}, "spec": spec,
    });
    // One or the other.
    if object["metadata"]["annotations"]["kubernetes.io/ingress.class"].is_null() {
        object["spec"]["ingressClassName"] = json!("webapprouting.kubernetes.azure.com");
    }
    object
}

/// A rule of an Ingress for a host, or without.
pub fn host(host: &str) -> Value {
    let backend = json!({"service": {"name": "web", "port": {"name": "http"}}});
    let http = json!({"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]});
    if host.is_empty() {
        return json!({"http": http});
    }
    json!({"host": host, "http": http})
}

pub fn tls(hosts: &[&str]) -> Value {
    json!({"hosts": hosts, "secretName": "certificate"})
}

pub fn service(spec: Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Service", "metadata": {}, "spec": spec});
    object["spec"]["selector"] = json!({"app": "web"});
    object
}

/// A Service that listens on ports.
pub fn listening(ports: &[u16]) -> Value {
    let ports: Vec<Value> = ports
        .iter()
        .map(|port| json!({"name": format!("p{port}"), "port": port, "targetPort": "http"}))
        .collect();
    service(json!({"ports": ports}))
}

fn reached_by(addresses: &[&str]) -> Value {
    service(json!({"ports": [{"port": 443}], "externalIPs": addresses}))
}

pub fn pod(spec: Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec});
    if object["spec"]["containers"].is_null() {
        object["spec"]["containers"] = json!([container("app", json!([]))]);
    }
    object
}

pub fn container(name: &str, ports: Value) -> Value {
    json!({"name": name, "image": "example.invalid/app:1", "ports": ports})
}

pub fn cases() -> Vec<Case> {
    [ingresses(), services(), addresses(), pods()].concat()
}

fn ingresses() -> Vec<Case> {
    let shop = || json!([host("shop.example.com")]);
    let covered = || json!({"rules": shop(), "tls": [tls(&["shop.example.com"])]});
    let annotated = |key: &str, value: &str| {
        let mut annotations = json!({"kubernetes.io/ingress.allow-http": "false"});
        annotations[key] = json!(value);
        annotations
    };
    let redirect = "nginx.ingress.kubernetes.io/ssl-redirect";
    let mut forced = annotated(redirect, "false");
    forced["nginx.ingress.kubernetes.io/force-ssl-redirect"] = json!("true");
    let by_annotation = annotated("kubernetes.io/ingress.class", "azure-application-gateway");
    let classless = json!({"rules": shop()});
    let every =
        json!({"rules": [host("shop.example.com"), host("")], "tls": [tls(&["shop.example.com"])]});
    let fallback = json!({"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}});
    let mut with_fallback = covered();
    with_fallback["defaultBackend"] = fallback["defaultBackend"].clone();
    let mut covered_fallback = fallback.clone();
    covered_fallback["tls"] = json!([{"secretName": "certificate"}]);
    vec![
        (ingress(Value::Null, covered()), None),
        (
            ingress(Value::Null, json!({"rules": shop(), "tls": [{}]})),
            None,
        ),
        (
            ingress(
                Value::Null,
                json!({"rules": shop(), "tls": [tls(&["*.example.com"])]}),
            ),
            None,
        ),
        (ingress(Value::Null, covered_fallback), None),
        (ingress(forced, covered()), None),
        (ingress(annotated(redirect, "true"), covered()), None),
        (
            ingress(Value::Null, json!({"rules": shop()})),
            Some("spec.tls covers no host shop.example.com, which spec.rules serves"),
        ),
        (
            ingress(by_annotation, classless),
            Some("add it to spec.tls, with the Secret"),
        ),
        (
            ingress(
                Value::Null,
                json!({"rules": shop(), "tls": [tls(&["other.example.com", "*.com"])]}),
            ),
            Some("covers no host shop.example.com"),
        ),
        (ingress(Value::Null, every), Some("not every host")),
        (
            ingress(Value::Null, fallback),
            Some("an entry without hosts"),
        ),
        (
            ingress(Value::Null, with_fallback),
            Some("the defaultBackend"),
        ),
        (
            ingress(json!({}), covered()),
            Some("kubernetes.io/ingress.allow-http] is not there"),
        ),
        (
            ingress(
                annotated("kubernetes.io/ingress.allow-http", "true"),
                covered(),
            ),
            Some("set it to \"false\""),
        ),
        (
            ingress(annotated(redirect, "false"), covered()),
            Some("ssl-redirect] is false"),
        ),
    ]
}

fn services() -> Vec<Case> {
    let alias = json!({"type": "ExternalName", "externalName": "db.example.com", "ports": [{"port": 8081}]});
    let headless = |port: u16| service(json!({"clusterIP": "None", "ports": [{"port": port}]}));
    let node = |port: u16| service(json!({"type": "NodePort", "ports": [{"port": port}]}));
    vec![
        (listening(&[80, 443]), None),
        (headless(5432), None),
        (node(443), None),
        (service(json!({"clusterIP": "None"})), None),
        (service(alias), None),
        (
            service(json!({"ports": [{"port": 443, "protocol": "UDP"}]})),
            None,
        ),
        (
            listening(&[443, 8081]),
            Some("spec.ports[1].port is 8081, and Services of the landing zone"),
        ),
        (headless(8081), Some("listen only on 80, 443, 5432")),
        (node(8081), Some("with the port of the pods as targetPort")),
        (
            service(json!({"type": "LoadBalancer", "ports": [{"port": 22}]})),
            Some("spec.ports[0].port is 22"),
        ),
    ]
}

fn addresses() -> Vec<Case> {
    vec![
        (reached_by(&["192.0.2.4", "198.51.100.15"]), None),
        (reached_by(&["2001:db8:1:0::5", "2001:db8:2:0::1"]), None),
        (
            reached_by(&["192.0.2.4", "192.0.2.5"]),
            Some("spec.externalIPs[1] is 192.0.2.5, and Services of the landing zone"),
        ),
        (
            reached_by(&["198.51.100.16"]),
            Some("use type LoadBalancer"),
        ),
        (
            reached_by(&["2001:db8:1:1::5"]),
            Some("may have only 192.0.2.4, 198.51.100.0/28"),
        ),
        (
            reached_by(&["2001:db8:2::2"]),
            Some("spec.externalIPs[0] is 2001:db8:2::2"),
        ),
    ]
}

fn pods() -> Vec<Case> {
    let with = |host_port: u16| json!([{"containerPort": 8080, "hostPort": host_port}]);
    let app = |ports: Value| json!([container("app", ports)]);
    let beside = |ports: Value| json!([container("first", json!([])), container("second", ports)]);
    let restarted = |ports: Value| {
        let mut sidecar = container("sidecar", ports);
        sidecar["restartPolicy"] = json!("Always");
        json!({"containers": app(json!([])), "initContainers": [sidecar]})
    };
    vec![
        (pod(json!({})), None),
        (
            pod(json!({"containers": app(json!([{"name": "http", "containerPort": 8080}]))})),
            None,
        ),
        (
            pod(json!({"containers": app(with(9100)), "hostNetwork": false})),
            None,
        ),
        (
            pod(json!({"containers": app(with(8080))})),
            Some("spec.containers[0].ports has hostPort 8080, and pods of the landing zone"),
        ),
        (
            pod(json!({"containers": beside(with(9101))})),
            Some("spec.containers[1].ports has hostPort 9101"),
        ),
        (
            pod(restarted(with(8080))),
            Some("spec.initContainers[0].ports has hostPort 8080"),
        ),
        (
            pod(json!({"hostNetwork": true})),
            Some("spec.hostNetwork is true"),
        ),
    ]
}

/// What is done one after the other to an Ingress that serves a.example.com over plain HTTP, to a Service that listens on
/// [`BAD`] and 443, and to one with the external IP 203.0.113.1; and words about it, where it makes something worse.
pub fn changes<'a>(
    plain: &'a Value,
    ports: &'a Value,
    external: &'a Value,
) -> Vec<(&'a Value, Value, Option<&'static str>)> {
    let another = json!([host("a.example.com"), host("b.example.com")]);
    let port = |port: u16| json!({"name": format!("p{port}"), "port": port, "targetPort": 1});
    let half = json!([tls(&["a.example.com"])]);
    vec![
        // The class is no matter of the rule.
        (plain, json!({"spec": {"ingressClassName": "other"}}), None),
        (
            plain,
            json!({"spec": {"rules": another}}),
            Some("covers no host b.example.com"),
        ),
        (
            plain,
            json!({"spec": {"rules": another, "tls": half}}),
            Some("covers no host b.example.com"),
        ),
        (
            plain,
            json!({"metadata": {"annotations": {"nginx.ingress.kubernetes.io/ssl-redirect": "false"}}}),
            Some("ssl-redirect"),
        ),
        (plain, json!({"spec": {"tls": half}}), None),
        (
            plain,
            json!({"spec": {"tls": null}}),
            Some("covers no host a.example.com"),
        ),
        (
            plain,
            json!({"metadata": {"annotations": {"kubernetes.io/ingress.allow-http": "false"}}}),
            None,
        ),
        (
            plain,
            json!({"metadata": {"annotations": {"kubernetes.io/ingress.allow-http": null}}}),
            Some("allow-http"),
        ),
        (
            ports,
            json!({"spec": {"ports": [port(BAD), port(80)]}}),
            None,
        ),
        (
            ports,
            json!({"spec": {"ports": [port(BAD), port(8082)]}}),
            Some("port is 8082"),
        ),
        (ports, json!({"spec": {"ports": [port(443)]}}), None),
        (
            ports,
            json!({"spec": {"ports": [port(443), port(BAD)]}}),
            Some("spec.ports[1].port is 8081"),
        ),
        (
            external,
            json!({"spec": {"externalIPs": ["203.0.113.1", "192.0.2.4"]}}),
            None,
        ),
        (
            external,
            json!({"spec": {"externalIPs": ["203.0.113.1", "203.0.113.2"]}}),
            Some("spec.externalIPs[1] is 203.0.113.2"),
        ),
        (external, json!({"spec": {"externalIPs": []}}), None),
        (
            external,
            json!({"spec": {"externalIPs": ["203.0.113.1"]}}),
            Some("spec.externalIPs[0] is 203.0.113.1"),
        ),
    ]
}
