use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn quantity(text: &str) -> Quantity {
    text.parse().unwrap_or_else(|rule| panic!("{text}: {rule}"))
}

#[rstest]
#[case("1", "1000m")]
#[case("1", "1000000u")]
#[case("1", "1000000000n")]
#[case("+1", "1.0")]
#[case("1.", "01")]
#[case(".5", "500m")]
#[case("1k", "1e3")]
#[case("1E", "1e18")]
#[case("1E3", "1000")]
#[case("1e+3", "1000")]
#[case("25e-3", "25m")]
#[case("1Ki", "1024")]
#[case("1.5Gi", "1610612736")]
#[case("1Ei", "1152921504606846976")]
#[case("0.1Ki", "102.4")]
#[case("-1", "-1000m")]
#[case("0", "0e400")]
#[case("1M", "1000k")]
#[case("1G", "1000M")]
#[case("1T", "1000G")]
#[case("1P", "1000T")]
#[case("1Mi", "1024Ki")]
#[case("1Pi", "1024Ti")]
fn is_equal(#[case] left: &str, #[case] right: &str) {
    assert_eq!(quantity(left), quantity(right));
}

#[rstest]
#[case("0.1n")]
#[case("1e-400")]
#[case("0.00000000000000000001")]
fn rounds_up_below_a_billionth(#[case] text: &str) {
    assert_eq!(quantity(text).nano(), 1);
    assert_eq!(quantity(&format!("-{text}")).nano(), -1);
}

#[rstest]
#[case("")]
#[case("+")]
#[case(".")]
#[case("m")]
#[case("Gi")]
#[case("1 Gi")]
#[case(" 1")]
#[case("1K")]
#[case("1gi")]
#[case("1Gib")]
#[case("1GB")]
#[case("1e")]
#[case("1e1.5")]
#[case("1e3Ki")]
#[case("1.2.3")]
#[case("--1")]
#[case("four")]
#[case("٤")]
fn is_no_quantity(#[case] text: &str) {
    let rule = text.parse::<Quantity>().unwrap_err();
    assert!(rule.contains("not a quantity"), "{text}: {rule}");
}

#[rstest]
#[case("8Ei")]
#[case("1e19")]
#[case("1e400")]
#[case("1e9223372036854775807")]
#[case("99999999999999999999999999999999999999999")]
fn does_not_fit(#[case] text: &str) {
    let rule = text.parse::<Quantity>().unwrap_err();
    assert!(rule.contains("more than Kubernetes can count"), "{rule}");
}

#[test]
fn the_greatest_fits() {
    assert_eq!(
        quantity("9223372036854775807").nano(),
        9_223_372_036_854_775_807_000_000_000
    );
}

#[rstest]
#[case(&["1Gi", "512Mi"], "1536Mi")]
#[case(&["1", "500m"], "1500m")]
#[case(&["4", "8"], "12")]
#[case(&["1n", "1u"], "1001n")]
#[case(&["1Gi", "1"], "1073741825")]
#[case(&[], "0")]
#[case(&["0Gi"], "0")]
fn adds_up(#[case] parts: &[&str], #[case] total: &str) {
    let parts: Vec<Quantity> = parts.iter().map(|text| quantity(text)).collect();
    assert_eq!(parts.iter().sum::<Quantity>().as_str(), total);
}

fn units() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "n", "u", "m", "", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti", "e2", "E-2",
    ])
}

proptest! {
    #[test]
    fn the_text_is_kept(whole in 0_u32..100_000, fraction in 0_u32..1000, unit in units()) {
        let text = format!("{whole}.{fraction:03}{unit}");
        let read = quantity(&text);
        prop_assert_eq!(read.to_string(), text);
    }

    #[test]
    fn what_is_written_reads_the_same(nano in -GREATEST..=GREATEST, binary: bool) {
        let written = Quantity::written(nano, binary);
        prop_assert_eq!(quantity(written.as_str()).nano(), nano);
    }

    #[test]
    fn a_thousand_of_one_unit_is_one_of_the_next(number in 0_i64..1_000_000_000) {
        for (small, large) in [("n", "u"), ("u", "m"), ("m", ""), ("", "k"), ("k", "M"), ("M", "G")] {
            prop_assert_eq!(quantity(&format!("{number}000{small}")), quantity(&format!("{number}{large}")));
        }
    }

    #[test]
    fn order_is_that_of_the_values(left in -1_000_000_i64..1_000_000, right in -1_000_000_i64..1_000_000) {
        let order = quantity(&format!("{left}m")).cmp(&quantity(&format!("{right}m")));
        prop_assert_eq!(order, left.cmp(&right));
        let shifted = quantity(&format!("{left}m")).cmp(&quantity(&format!("{right}000u")));
        prop_assert_eq!(shifted, left.cmp(&right));
    }

    #[test]
    fn no_text_breaks_it(text in "\\PC{0,50}") {
        let _ = text.parse::<Quantity>();
    }

    #[test]
    fn no_number_breaks_it(text in "[+-]?[0-9]{0,45}\\.?[0-9]{0,45}[eEinumkKMGTP]{0,2}[+-]?[0-9]{0,22}") {
        let _ = text.parse::<Quantity>();
    }
}
