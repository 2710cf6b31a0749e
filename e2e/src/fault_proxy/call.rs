//! What is asked of the API server, as far as faults distinguish it.

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Such as `GET`.
    pub method: String,
    /// Such as `/apis/landingzones.dev/v1alpha1/landingzones/shop/status`.
    pub path: String,
    /// What follows the question mark; empty where there is none.
    pub query: String,
}

impl Call {
    pub(super) fn new<B>(request: &http::Request<B>) -> Self {
        let uri = request.uri();
        Self {
            method: request.method().to_string(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
        }
    }

    /// Whether it changes what the cluster is like: what is only tried, questions that are asked by a POST, renewals of
    /// the Lease and Events do not.
    #[must_use]
    pub fn is_write(&self) -> bool {
        const NEITHER: [&str; 4] = [
            "leases",
            "events",
            "selfsubjectaccessreviews",
            "selfsubjectrulesreviews",
        ];
        self.method != "GET"
            && !self.query.contains("dryRun=")
            && !NEITHER.iter().any(|plural| self.is_of(plural))
    }

    /// Whether it is answered by events.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        let mut parameters = self.query.split('&');
        parameters.any(|it| matches!(it, "watch=true" | "watch=1"))
    }

    /// Whether it is answered by a list, or by a page of one. Lists are told from single objects by what only they are
    /// asked: every list of the operator's says how much it takes at once.
    #[must_use]
    pub fn is_list(&self) -> bool {
        let mut parameters = self.query.split('&');
        self.method == "GET" && !self.is_watch() && parameters.any(|it| it.starts_with("limit="))
    }

    /// Whether it is about objects of a kind, by its plural.
    #[must_use]
    pub fn is_of(&self, plural: &str) -> bool {
        self.path.split('/').any(|segment| segment == plural)
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn call(method: &str, uri: &str) -> Call {
        Call::new(&Request::builder().method(method).uri(uri).body(()).unwrap())
    }

    #[test]
    fn what_changes_nothing_is_no_write() {
        let namespaces = "/api/v1/namespaces";
        assert!(call("POST", namespaces).is_write());
        assert!(
            call(
                "PATCH",
                "/apis/landingzones.dev/v1alpha1/landingzones/shop/status"
            )
            .is_write()
        );
        assert!(call("DELETE", "/api/v1/namespaces/shop-web").is_write());
        assert!(!call("GET", namespaces).is_write());
        assert!(!call("POST", "/api/v1/namespaces/shop-web/pods?dryRun=All").is_write());
        assert!(
            !call(
                "POST",
                "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            )
            .is_write()
        );
        assert!(
            !call(
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/lz/leases/operator"
            )
            .is_write()
        );
        assert!(!call("POST", "/apis/events.k8s.io/v1/namespaces/default/events").is_write());
    }

    #[test]
    fn lists_and_watches_are_told_apart() {
        assert!(call("GET", "/api/v1/namespaces?limit=100").is_list());
        assert!(!call("GET", "/api/v1/namespaces?limit=100").is_watch());
        let watch = call("GET", "/api/v1/namespaces?watch=true&resourceVersion=7");
        assert!(watch.is_watch() && !watch.is_list());
        assert!(!call("GET", "/api/v1/namespaces/shop-web").is_list());
        assert!(watch.is_of("namespaces") && !watch.is_of("name"));
    }
}
