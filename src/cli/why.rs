//! `kubectl landingzone why`: what decides whether something reaches something, tier by tier in both directions, whom
//! to ask, and what would have to be declared.

mod allow;
mod end;
mod remedy;

use std::fmt::Write as _;
use std::io::{self, Read, Write};

use clap::Args;
use thiserror::Error;

use self::end::{Asked, End, EndError};
use super::Outcome;
use super::landscape::{Behind, Landscape, LandscapeError, PlaceKind, SourceArgs};
use super::matrix::{VerdictWord, written_ports};
use crate::policy::{Answer, Does, Link, PortSpan, Reach, Way};

/// What is asked, and of which files.
#[derive(Args, Clone, Debug)]
pub(super) struct WhyArgs {
    /// Who opens the connection: landingzone/zone, namespace/pod, a workload like namespace/deployment/name, an address,
    /// or a place as matrix tells it
    from: String,

    /// Who is connected to, with a port like :443 or :53/UDP; all ports without one. An IPv6 address with a port
    /// stands in brackets
    #[arg(value_name = "TO[:PORT]")]
    to: String,

    #[command(flatten)]
    source: SourceArgs,
}

/// What could not be done, other than that the input is wrong.
#[derive(Debug, Error)]
enum WhyError {
    #[error(transparent)]
    Landscape(#[from] LandscapeError),
    #[error("failed to write the output")]
    Write(#[from] io::Error),
}

impl WhyArgs {
    /// Prints the answer to standard output. What is wrong with the files or the question goes to standard error.
    pub(super) fn run(&self) -> Outcome {
        match self.why(&mut io::stdin(), &mut io::stdout(), &mut io::stderr()) {
            Ok(outcome) => outcome,
            // Whoever reads has seen enough, as `head` has.
            Err(WhyError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Outcome::Done
            }
            Err(error) => {
                super::complain(&error);
                Outcome::Failed
            }
        }
    }

    fn why(
        &self,
        stdin: &mut dyn Read,
        stdout: &mut dyn Write,
        stderr: &mut dyn Write,
    ) -> Result<Outcome, WhyError> {
        let of_ends = end::asked_about([&self.from, &self.to]);
        let landscapes = match self.source.read(&of_ends, stdin, stderr)? {
            Ok(landscapes) => landscapes,
            Err(outcome) => return Ok(outcome),
        };
        for landscape in &landscapes {
            let (from, asked) = match asked(landscape, &self.from, &self.to) {
                Ok(both) => both,
                Err(error) => {
                    // What is wrong is the question; of several clusters one may have what is asked about.
                    let of_several = landscapes.len() > 1;
                    let cluster = of_several.then(|| format!("cluster {}: ", landscape.cluster));
                    writeln!(stderr, "error: {}{error}", cluster.unwrap_or_default())?;
                    return Ok(Outcome::BadInput);
                }
            };
            if landscapes.len() > 1 {
                writeln!(stdout, "cluster {}", landscape.cluster)?;
            }
            stdout.write_all(answer(landscape, &from, &asked).as_bytes())?;
        }
        stdout.flush()?;
        Ok(Outcome::Done)
    }
}

fn asked<'a>(
    landscape: &'a Landscape,
    from: &str,
    to: &str,
) -> Result<(End<'a>, Asked<'a>), EndError> {
    let from = end::found(landscape, from)?;
    let asked = end::with_port(landscape, to)?;
    Ok((from, asked))
}

/// The whole answer.
fn answer(landscape: &Landscape, from: &End<'_>, asked: &Asked<'_>) -> String {
    let to = &asked.end;
    let mut members = from.members.clone();
    members.extend(to.members.iter().cloned());
    let (own, peers): (Vec<_>, Vec<_>) =
        (0..members.len()).partition(|at| *at < from.members.len());
    // On which ports DNS answers is known, so nobody is taken for it on others.
    let mut places = landscape.places.iter();
    let dns = places.find(|it| it.kind == PlaceKind::Dns);
    let dns = dns.into_iter().flat_map(|it| &it.members);
    members.extend(dns.filter_map(|at| landscape.members.get(*at).cloned()));
    let reach = landscape.world.reach(&members);
    let mut text = String::new();
    let mut all = Vec::new();
    for Question {
        ports,
        span,
        answer,
        is_rest,
        passing,
    } in questions(&reach, &own, &peers, asked)
    {
        let behind = behind(landscape, from, to, answer, &passing);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} → {}, {}: {}{}",
            from.name,
            to.name,
            ports,
            verdict(answer, from.unread.is_some() || to.unread.is_some()),
            behind.as_ref().map(held_back).unwrap_or_default()
        );
        for (way, side) in [(Way::Egress, from), (Way::Ingress, to)] {
            if side.unread.is_some() {
                let _ = writeln!(text, "  {} {}", word(way), side.name);
                let _ = writeln!(text, "    cannot be read with your rights");
                continue;
            }
            let links = reach.chain(&own, &peers, way, span);
            direction(&mut text, way, side, &links);
            // Nobody asked for the rest, so nothing is said of how to open it.
            all.extend(
                links
                    .into_iter()
                    .filter(|it| it.does == Does::Denies && !is_rest)
                    .map(|it| (way, it)),
            );
        }
        if let Some(behind) = behind {
            security_groups(&mut text, &behind);
        }
        text.push('\n');
    }
    for note in [&from.note, &to.note].into_iter().flatten() {
        let _ = writeln!(text, "note: {note}");
    }
    text.push_str(&remedy::whom_to_ask(landscape, from, to));
    text.push_str(&allow::rules(landscape, from, asked, &all));
    text.push_str(&remedy::remedies(landscape, from, asked, !all.is_empty()));
    text
}

/// Something to be answered.
struct Question {
    /// Ports in words.
    ports: String,
    /// The span that stands for them.
    span: PortSpan,
    /// What comes of it.
    answer: Answer,
    /// Whether it is about all that nothing else is said of.
    is_rest: bool,
    /// All that it is about; empty: all ports of all protocols.
    passing: Vec<PortSpan>,
}

/// What network security groups make of what policies let through; None where they have no say.
fn behind(
    landscape: &Landscape,
    from: &End<'_>,
    to: &End<'_>,
    answer: Answer,
    ports: &[PortSpan],
) -> Option<Behind> {
    let groups = landscape.security_groups.as_ref();
    let groups = groups.filter(|_| answer != Answer::Denied)?;
    groups.behind(&from.place?.name, &to.place?.name, ports)
}

/// What the verdict is behind network security groups.
fn held_back(behind: &Behind) -> &'static str {
    match (behind.is_open(), behind.passes.is_empty()) {
        (true, _) => "",
        (false, true) => " by policies, and denied by a network security group",
        (false, false) => " by policies, and some of it denied by a network security group",
    }
}

fn security_groups(text: &mut String, behind: &Behind) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "  network security groups");
    if !behind.passes.is_empty() {
        let passes = written_ports(&behind.passes).join(", ");
        let _ = writeln!(text, "    allow: {passes}");
    }
    for (rule, ports) in &behind.denied {
        let ports = written_ports(ports).join(", ");
        let _ = writeln!(text, "    {rule} denies: {ports}");
    }
}

/// One question about the port that is asked for; without one, one about each part that passes, and one about the rest.
fn questions(reach: &Reach<'_>, from: &[usize], to: &[usize], asked: &Asked<'_>) -> Vec<Question> {
    if let Some((protocol, port)) = asked.port {
        let answer = reach.answer_on(from, to, (protocol, port));
        let question = answer.map(|(span, answer)| Question {
            ports: format!("{protocol} {port}"),
            span,
            answer,
            is_rest: false,
            passing: vec![PortSpan {
                protocol: Some(protocol),
                first: port,
                last: port,
            }],
        });
        return question.into_iter().collect();
    }
    let spans = reach.answers(from, to);
    let passages = reach.passages(from, to);
    let questions = passages.iter().filter_map(|passage| {
        let is_meant = |span: &PortSpan| {
            passage.ports.is_empty() || passage.ports.iter().any(|it| it.covers(*span))
        };
        // What holds for all that is not named stands last, and says most.
        let mut spans = spans.iter().rev();
        let span = spans.find(|(span, answer)| *answer == passage.answer && is_meant(span))?;
        let told = match passage.answer {
            Answer::Denied => "any port".to_owned(),
            Answer::Allowed | Answer::Partly => written_ports(&passage.ports).join(", "),
        };
        Some(Question {
            ports: told,
            span: span.0,
            answer: passage.answer,
            is_rest: false,
            passing: passage.ports.clone(),
        })
    });
    let mut questions: Vec<Question> = questions.collect();
    // What holds for all that is not named stands last.
    let rest = spans.iter().rfind(|(_, answer)| *answer == Answer::Denied);
    let is_told = questions.iter().any(|it| it.answer == Answer::Denied);
    if let Some((span, answer)) = rest.filter(|_| !is_told) {
        questions.push(Question {
            ports: "every other port".to_owned(),
            span: *span,
            answer: *answer,
            is_rest: true,
            passing: Vec::new(),
        });
    }
    questions
}

/// The verdict in words. What one side denies is denied, whatever the other one does.
fn verdict(answer: Answer, is_partial: bool) -> String {
    let word = VerdictWord::from(answer).text();
    if is_partial && answer != Answer::Denied {
        format!("{word} by what you may read")
    } else {
        word.to_owned()
    }
}

fn word(way: Way) -> &'static str {
    match way {
        Way::Egress => "egress of",
        Way::Ingress => "ingress of",
    }
}

/// One direction, a line for each tier that has something to say.
fn direction(text: &mut String, way: Way, side: &End<'_>, links: &[Link]) {
    let _ = writeln!(text, "  {} {}", word(way), side.name);
    let width = links
        .iter()
        .filter_map(|it| it.tier.as_ref())
        .map(String::len);
    let width = width.max().unwrap_or(0);
    for link in links {
        let does = match link.does {
            Does::Allows => "allows:",
            Does::Denies => "denies:",
            Does::Passes => "passes on:",
        };
        let tier = link.tier.as_deref().unwrap_or_default();
        let _ = match &link.tier {
            Some(_) => writeln!(text, "    {tier:<width$}  {does:<10} {}", link.by),
            None => writeln!(text, "    {}", link.by),
        };
    }
}

#[cfg(test)]
mod tests;
