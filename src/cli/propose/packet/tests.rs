use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// As the kernel writes it, from the first field on.
const SYN: &str = "IN=cali0ef24b1 OUT=cali1234567 MAC=ee:ee:ee:ee:ee:ee:aa:bb:cc:dd:ee:ff:08:00 \
    SRC=10.244.1.5 DST=10.244.2.9 LEN=60 TOS=0x00 PREC=0x00 TTL=63 ID=52866 DF PROTO=TCP \
    SPT=41000 DPT=5432 WINDOW=64240 RES=0x00 SYN URGP=0 ";

fn line(text: &str) -> Line {
    read(text.as_bytes(), "calico-packet")
}

fn packet(text: &str) -> Packet {
    match line(&format!("calico-packet: {text}")) {
        Line::Packet(packet) => packet,
        other => panic!("{other:?}: {text}"),
    }
}

fn is_unreadable(text: &str) -> bool {
    line(&format!("calico-packet: {text}")) == Line::Unreadable
}

#[rstest]
#[case::dmesg("[158271.044316] calico-packet: ")]
#[case::dmesg_with_time("[Fri Nov 21 16:00:01 2026] calico-packet: ")]
#[case::dmesg_decoded("kern  :notice: [158271.044316] calico-packet: ")]
#[case::kmsg("6,1234,5678901,-;calico-packet: ")]
#[case::journalctl("Nov 21 16:00:01 aks-pool1-vmss000000 kernel: calico-packet: ")]
#[case::syslog("2026-11-21T16:00:01.123+00:00 aks-1 kernel: [158271.044316] calico-packet: ")]
#[case::prefix_with_more("kernel: calico-packet-default.deny: ")]
#[case::prefix_without_colon("kernel: calico-packet ")]
#[case::coloured("\u{1b}[32m[  158.04] \u{1b}[0mcalico-packet: ")]
fn whatever_stands_before_the_packet_is_skipped(#[case] before: &str) {
    assert_eq!(line(&format!("{before}{SYN}")), Line::Packet(packet(SYN)));
}

#[test]
fn a_line_says_who_opens_a_connection_to_which_port() {
    let packet = packet(SYN);
    assert_eq!(packet.source.to_string(), "10.244.1.5");
    assert_eq!(packet.destination.to_string(), "10.244.2.9");
    assert_eq!(
        packet.content,
        Content::Ports {
            protocol: Protocol::TCP,
            source: 41000,
            destination: 5432,
            sign: Sign::Opens
        }
    );
    assert!(packet.from_pod && packet.to_pod);
}

#[rstest]
#[case("SYN URGP=0", Sign::Opens)]
#[case("CWR ECE SYN URGP=0", Sign::Opens)]
#[case("ACK SYN URGP=0", Sign::Answers)]
#[case("ACK PSH URGP=0", Sign::Midway)]
#[case("RST URGP=0", Sign::Midway)]
#[case("", Sign::Midway)]
fn flags_of_tcp_say_who_opened(#[case] flags: &str, #[case] expected: Sign) {
    let packet = packet(&SYN.replace("SYN URGP=0", flags));
    assert!(matches!(packet.content, Content::Ports { sign, .. } if sign == expected));
}

#[test]
fn the_number_of_an_acknowledged_byte_is_no_flag() {
    let packet = packet(&SYN.replace("WINDOW", "SEQ=1 ACK=0 WINDOW"));
    assert!(matches!(
        packet.content,
        Content::Ports {
            sign: Sign::Opens,
            ..
        }
    ));
}

#[test]
fn interfaces_tell_pods_of_the_node_from_everything_else() {
    for (name, is_pod) in [
        ("cali0ef24b1", true),
        ("azv5e6f7a8b9c0", true),
        ("eth0", false),
        ("vxlan.calico", false),
        ("", false),
    ] {
        let packet = packet(&SYN.replace("OUT=cali1234567", &format!("OUT={name}")));
        assert_eq!((packet.from_pod, packet.to_pod), (true, is_pod), "{name}");
    }
}

#[test]
fn udp_and_ipv6_are_read() {
    let packet = packet(
        "IN=cali1 OUT=eth0 MAC= SRC=fd00:0000:0000:0000:0000:0000:0000:0005 \
         DST=2001:0db8:0000:0000:0000:0000:0000:0001 LEN=80 TC=0 HOPLIMIT=63 FLOWLBL=123 PROTO=UDP \
         SPT=40000 DPT=123 LEN=40",
    );
    assert_eq!(packet.source.to_string(), "fd00::5");
    assert_eq!(packet.destination.to_string(), "2001:db8::1");
    assert_eq!(
        packet.content,
        Content::Ports {
            protocol: Protocol::UDP,
            source: 40000,
            destination: 123,
            sign: Sign::None
        }
    );
}

#[rstest]
#[case("PROTO=ICMP TYPE=8 CODE=0 ID=7 SEQ=1", "ICMP")]
#[case("PROTO=ICMPv6 TYPE=128 CODE=0 ID=7 SEQ=1", "ICMPv6")]
#[case("PROTO=132", "SCTP")]
#[case("PROTO=47", "protocol 47")]
#[case("PROTO=ESP SPI=0x1", "ESP")]
fn some_protocols_have_no_ports(#[case] tail: &str, #[case] name: &str) {
    let packet = packet(&format!("IN= OUT= SRC=10.0.0.1 DST=10.0.0.2 {tail}"));
    assert!(matches!(packet.content, Content::Portless(protocol) if protocol.to_string() == name));
}

#[test]
fn what_an_icmp_error_quotes_is_not_the_packet() {
    let packet = packet(
        "IN=cali1 OUT=eth0 SRC=10.0.0.1 DST=10.0.0.2 LEN=88 PROTO=ICMP TYPE=3 CODE=3 \
         [SRC=10.9.9.9 DST=10.8.8.8 LEN=60 PROTO=TCP SPT=1 DPT=2 ] ",
    );
    assert_eq!(packet.source.to_string(), "10.0.0.1");
    assert!(matches!(packet.content, Content::Portless(_)));
}

#[test]
fn later_fragments_have_no_ports() {
    let fragment = "IN= OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=1500 ID=7 FRAG:185 PROTO=UDP ";
    assert_eq!(packet(fragment).content, Content::Fragment);
    let cut = "IN= OUT= SRC=10.0.0.1 DST=10.0.0.2 LEN=24 ID=7 PROTO=TCP INCOMPLETE [4 bytes] ";
    assert_eq!(packet(cut).content, Content::Fragment);
}

#[rstest]
#[case::no_fields("hello")]
#[case::nothing("")]
#[case::no_address("IN= OUT= PROTO=TCP SPT=1 DPT=2")]
#[case::absurd_address("IN= OUT= SRC=10.244.1.500 DST=10.0.0.2 PROTO=TCP SPT=1 DPT=2")]
#[case::absurd_port("IN= OUT= SRC=10.0.0.1 DST=10.0.0.2 PROTO=TCP SPT=1 DPT=99999")]
#[case::port_0("IN= OUT= SRC=10.0.0.1 DST=10.0.0.2 PROTO=TCP SPT=1 DPT=0")]
#[case::negative_port("IN= OUT= SRC=10.0.0.1 DST=10.0.0.2 PROTO=TCP SPT=-1 DPT=2")]
#[case::endless_port("IN= OUT= SRC=10.0.0.1 DST=10.0.0.2 PROTO=UDP SPT=1 DPT=1e999999999999")]
#[case::one_port("IN= OUT= SRC=10.0.0.1 DST=10.0.0.2 PROTO=TCP SPT=1")]
#[case::no_ports("IN= OUT= SRC=10.0.0.1 DST=10.0.0.2 PROTO=TCP")]
#[case::absurd_protocol("IN= OUT= SRC=10.0.0.1 DST=10.0.0.2 PROTO=256")]
#[case::absurd_id("IN= OUT= SRC=10.0.0.1 DST=10.0.0.2 ID=70000 PROTO=ICMP")]
fn what_tells_of_no_packet_is_unreadable(#[case] text: &str) {
    assert!(is_unreadable(text));
}

#[test]
fn other_lines_are_somebody_else_s() {
    assert_eq!(line("kernel: eth0: link up"), Line::Other);
    assert_eq!(line(&format!("kernel: audit: {SYN}")), Line::Other);
    assert_eq!(line(""), Line::Other);
    assert_eq!(read(SYN.as_bytes(), "felix"), Line::Other);
}

#[test]
fn bytes_that_are_no_text_are_no_obstacle() {
    let mut bytes = b"\xff\xfe\x00 calico-packet: ".to_vec();
    bytes.extend(SYN.as_bytes());
    bytes.extend(b" \xc3\x28");
    assert_eq!(read(&bytes, "calico-packet"), Line::Packet(packet(SYN)));
    let bytes = b"calico-packet: IN= OUT= SRC=10.0.0.\xff DST=10.0.0.2 PROTO=ICMP";
    assert_eq!(read(bytes, "calico-packet"), Line::Unreadable);
}

#[test]
fn a_packet_that_both_ends_log_is_one() {
    assert!(packet(SYN).is_repeated_by(&packet(SYN)));
    let again = SYN.replace("ID=52866", "ID=52867");
    assert!(!packet(SYN).is_repeated_by(&packet(&again)));
    // Without identification two packets of the same content are told apart by nothing.
    let unidentified = SYN.replace("ID=52866", "ID=0");
    assert!(!packet(&unidentified).is_repeated_by(&packet(&unidentified)));
    let ping = packet("IN= OUT= SRC=fd00::1 DST=fd00::2 PROTO=ICMPv6 TYPE=128 CODE=0 ID=7 SEQ=1");
    assert!(!ping.is_repeated_by(&ping));
}

proptest! {
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..300), prefix in ".{0,4}") {
        let _ = read(&bytes, &prefix);
    }

    #[test]
    fn any_fields_are_read(words in prop::collection::vec(
        "(IN|OUT|SRC|DST|PROTO|SPT|DPT|ID)=(10\\.0\\.0\\.1|TCP|UDP|132|[0-9]{0,7})|SYN|ACK|\\[|FRAG:1", 0..12,
    )) {
        let text = format!("calico-packet: IN= {}", words.join(" "));
        prop_assert_ne!(line(&text), Line::Other);
    }
}
