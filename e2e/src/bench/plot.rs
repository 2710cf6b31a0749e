//! The figures as a picture.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::figures::{Figures, count};

/// Width of the picture, and height of each bar with what is around it, pixels.
const WIDTH: u32 = 760;
const ROW: u32 = 44;
const OPERATOR: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
const OTHERS: RGBColor = RGBColor(0xb8, 0xb8, 0xb8);

/// Draws how long it takes until all objects are there, as SVG: the operator next to whatever else writes them.
pub fn draw(figures: &Figures, file: &Path) -> Result<()> {
    let bars = bars(figures);
    let longest = bars.iter().map(|(_, seconds)| *seconds).fold(0.0, f64::max);
    let rows = u32::try_from(bars.len())?;
    let area = SVGBackend::new(file, (WIDTH, ROW * rows + 90)).into_drawing_area();
    let failed = |error: &dyn std::fmt::Display| anyhow!("failed to draw the plot: {error}");
    area.fill(&WHITE).map_err(|error| failed(&error))?;
    let title = format!(
        "{} objects of {} landing zones: seconds until all are there",
        figures.objects, figures.landing_zones
    );
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 17))
        .margin(14)
        .x_label_area_size(28)
        .build_cartesian_2d(0.0..longest * 1.25, 0.0..count(bars.len()))
        .map_err(|error| failed(&error))?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_label_formatter(&|seconds| format!("{seconds:.0}"))
        .draw()
        .map_err(|error| failed(&error))?;
    for (place, (name, seconds)) in bars.iter().rev().enumerate() {
        let bottom = count(place);
        let colour = if name.starts_with("operator") {
            OPERATOR
        } else {
            OTHERS
        };
        let bar = Rectangle::new(
            [(0.0, bottom + 0.12), (*seconds, bottom + 0.52)],
            colour.filled(),
        );
        let label = Text::new(
            format!("{name}: {seconds:.1} s"),
            (longest * 0.005, bottom + 0.9),
            ("sans-serif", 14),
        );
        let elements = [bar.into_dyn(), label.into_dyn()];
        chart
            .draw_series(elements)
            .map_err(|error| failed(&error))?;
    }
    area.present().map_err(|error| failed(&error))
}

/// What is compared, and how long it took, seconds.
fn bars(figures: &Figures) -> Vec<(&'static str, f64)> {
    let bars = [
        ("a bare client (the floor)", figures.floor_seconds),
        ("operator", figures.converge.seconds),
        ("kubectl apply --server-side", figures.kubectl.seconds),
        ("Flux's kustomize-controller", figures.flux.seconds),
    ];
    bars.into_iter()
        .filter(|(_, seconds)| *seconds > 0.0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Compared, Converge};
    use super::*;

    #[test]
    fn each_that_was_measured_has_a_bar() {
        let figures = Figures {
            landing_zones: 3,
            objects: 63,
            floor_seconds: 10.0,
            converge: Converge {
                seconds: 12.5,
                ..Converge::default()
            },
            kubectl: Compared {
                seconds: 99.0,
                ratio: 9.9,
            },
            ..Figures::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("plot.svg");
        draw(&figures, &file).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        for said in ["63 objects", "operator: 12.5 s", "--server-side: 99.0 s"] {
            assert!(svg.contains(said), "{said}: {svg}");
        }
        // Nobody tried it.
        let without = Figures {
            kubectl: Compared::default(),
            ..figures
        };
        draw(&without, &file).unwrap();
        let svg = std::fs::read_to_string(&file).unwrap();
        assert!(!svg.contains("kubectl"), "{svg}");
    }
}
