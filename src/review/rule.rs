//! The rules by which policies are judged, as `docs/review-rules.md` lists them.

use std::fmt;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Good to know.
    Note,
    /// It does something else than it seems, or nothing.
    Warning,
    /// It leaves the boundary of a landing zone, or breaks what others rely on.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// Declares the catalogue once: variant, id, severity, whether it is about leaving a boundary, and what it says.
macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident = $id:literal, $severity:ident, $leaves:literal, $title:literal;)*) => {
        /// What can be found. The ids are stable: waivers and code scanning refer to them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $($(#[$doc])* $variant,)*
        }

        impl Rule {
            /// All of them, in the order of the catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its stable id.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// How much it weighs.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// Whether something outside of a boundary gets through, so that somebody has to approve it unless it is
            /// declared.
            #[must_use]
            pub const fn leaves_boundary(self) -> bool {
                match self { $(Self::$variant => $leaves,)* }
            }

            /// What it is about, in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

rules! {
    /// The namespaces of a peer are chosen by other labels of landing zones, and no application code.
    CodeMissing = "code-missing", Error, true, "the application code is missing";
    /// The application code is that of somebody else.
    CodeWrong = "code-wrong", Error, true, "the application code is another one";
    /// Everybody but an application code.
    CodeNegated = "code-negated", Error, true, "the application code is negated";
    /// The application code stands beside an alternative without it.
    CodeOptional = "code-optional", Error, true, "the application code is only one of several alternatives";
    /// A namespace outside is named.
    NamespaceName = "namespace-name", Error, true, "a namespace outside is named";
    /// Namespaces are chosen by labels that say nothing of the application.
    NamespaceLabels = "namespace-labels", Error, true, "namespaces are chosen by labels that others can have, too";
    /// All namespaces.
    AllNamespaces = "all-namespaces", Error, true, "every namespace of the cluster is meant";
    /// What lies in no namespace: global network sets and hosts.
    OutsideCluster = "outside-namespaces", Error, true, "what lies in no namespace is meant";
    /// Nothing is said of the other end.
    AnyPeer = "any-peer", Error, true, "nothing is said of the other end, so everybody is meant";
    /// Everything but some endpoints.
    NotSelector = "not-selector", Error, true, "everything is meant that is not one of some endpoints";
    /// Ranges that pods of others have addresses of.
    NetsReachPods = "nets-reach-pods", Error, true, "the ranges hold addresses of pods";
    /// Ranges that nodes have addresses of.
    NetsReachNodes = "nets-reach-nodes", Error, true, "the ranges hold addresses of nodes";
    /// Ranges that hold the addresses of Azure's metadata service.
    NetsReachMetadata = "nets-reach-metadata", Error, true, "the ranges hold an address of Azure's metadata service";
    /// All addresses, or most of them.
    NetsEverything = "nets-everything", Error, true, "the ranges hold most addresses there are";
    /// Ranges outside the cluster.
    NetsOutside = "nets-outside", Error, true, "the ranges lie outside the cluster";
    /// Endpoints of a service.
    ByService = "by-service", Error, true, "a service decides who is meant";
    /// Service accounts of any namespace.
    ServiceAccounts = "service-accounts", Error, true, "service accounts outside are meant";
    /// A network set that is meant has addresses outside.
    NetworkSet = "network-set", Error, true, "a network set makes outside addresses part of the peers";
    /// A network set in a landing zone: its addresses count as inside.
    NetworkSetInside = "network-set-inside", Error, true, "a network set inherits the labels of the landing zone";
    /// A host endpoint with the profile of a landing zone's namespace: its addresses count as inside.
    HostEndpointInside = "host-endpoint-inside", Error, true, "a host endpoint has the labels of the landing zone by its profile";
    /// Endpoints of a service of a landing zone that lie outside of it.
    EndpointsOutside = "endpoints-outside", Error, true, "endpoints of a service of the landing zone lie outside of it";
    /// A network set with labels that only Calico gives.
    ForgedLabels = "forged-labels", Error, true, "addresses have labels that only Calico gives";
    /// A namespace with the labels of a landing zone that does not declare it, or of a shared service.
    NamespaceJoins = "namespace-joins", Error, true, "a namespace labels itself into a landing zone or a shared service";
    /// A namespace with the labels of those that the default deny leaves alone.
    NamespaceExempt = "namespace-exempt", Error, true, "a namespace labels itself out of the default deny";
    /// A namespace whose labels say less than its landing zone declares.
    NamespaceWeakened = "namespace-weakened", Error, true, "labels of a namespace take back what its landing zone declares";
    /// It comes before the boundary.
    OrderBeforePlatform = "order-before-platform", Error, true, "it would be asked before the boundary";
    /// It stands in a tier that is not the team's.
    OtherTier = "other-tier", Error, true, "it stands in a tier that is the platform's, or in none that exists";
    /// It has the name of a policy that the operator writes.
    OperatorsName = "operators-name", Error, true, "it has the name of a policy that the operator writes";
    /// Felix ends because of it.
    BreaksFelix = "breaks-felix", Error, false, "Felix cannot program it and ends";
    /// Felix, or the API server, does not take it, or takes it for something else than it seems.
    Invalid = "invalid", Error, true, "it is not valid, so nobody can say what becomes of it";
    /// A field that the kind does not have.
    UnknownField = "unknown-field", Warning, false, "the kind has no such field, so it says nothing";
    /// Nothing can match it.
    MatchesNothing = "matches-nothing", Warning, false, "nothing can match it";
    /// It selects nothing.
    SelectsNothing = "selects-nothing", Warning, false, "the policy selects nothing";
    /// An earlier rule always decides.
    Unreachable = "unreachable", Warning, false, "an earlier rule always decides";
    /// What is denied is denied by the boundary.
    DenyWithoutEffect = "deny-without-effect", Warning, false, "the boundary denies it already";
    /// It does not say which directions it has.
    TypesMissing = "types-missing", Warning, false, "it does not say which directions it is about";
    /// It has rules for a direction that it does not have.
    RulesWithoutType = "rules-without-type", Warning, false, "its rules are for a direction that its types leave out";
    /// Nobody knows whose namespace that is.
    NamespaceUnknown = "namespace-unknown", Error, true, "the namespace belongs to no landing zone that is known, so its boundary cannot be judged";
    /// A waiver that waives nothing.
    WaiverWithoutEffect = "waiver-without-effect", Warning, false, "nothing is found that it would waive";
    /// Too complex to judge.
    TooComplex = "too-complex", Error, true, "it is too complex to judge, so it has to be taken for open";
    /// It decides who reaches whom, and only people can tell how.
    DecidesUnread = "decides-unread", Error, false, "it decides who reaches whom, and is not judged: somebody has to read it";
}

impl Rule {
    /// Whether somebody has to approve what it finds, unless it is declared: what leaves a boundary, what takes the
    /// boundary down for everybody, and what nobody but people can judge.
    #[must_use]
    pub const fn needs_approval(self) -> bool {
        self.leaves_boundary() || matches!(self, Self::BreaksFelix | Self::DecidesUnread)
    }

    /// By its id; None where there is none.
    #[must_use]
    pub fn of_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.id() == id)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}
