//! The calibration of an evaluation as a picture: how sure a claim was against how often such claims
//! were right. On the diagonal a confidence means what it says.

use std::fmt::Write;

use super::{Attribute, Evaluation, Score};

/// Side of one panel's square, and the room around it, in pixels.
const SIDE: f64 = 220.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 64.0;
const GAP: f64 = 84.0;

/// Confidence from which the axes begin: below it nothing is claimed.
const FROM: f64 = 0.5;

/// The picture as SVG, one panel for each attribute that was answered. The same evaluation gives the
/// same bytes.
pub fn plot(evaluation: &Evaluation) -> String {
    let panels: Vec<(Attribute, Score)> = Attribute::ALL
        .iter()
        .map(|attribute| (*attribute, evaluation.score(*attribute)))
        .filter(|(_, score)| score.answered > 0)
        .collect();
    let width = LEFT + panels.len().max(1) as f64 * (SIDE + GAP);
    let height = TOP + SIDE + 64.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\" role=\"img\">\n\
         <title>Calibration of identification</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\" font-weight=\"bold\">How sure, and how often right ({} labelled banners)</text>\n",
        evaluation.banners
    );
    for (number, (attribute, score)) in panels.iter().enumerate() {
        panel(&mut svg, LEFT + number as f64 * (SIDE + GAP), *attribute, score);
    }
    svg.push_str("</svg>\n");
    svg
}

fn panel(svg: &mut String, left: f64, attribute: Attribute, score: &Score) {
    let x = |share: f64| left + (share - FROM) / (1.0 - FROM) * SIDE;
    let y = |share: f64| TOP + SIDE - (share - FROM) / (1.0 - FROM) * SIDE;
    let (right, bottom) = (left + SIDE, TOP + SIDE);
    let error = score.calibration_error().unwrap_or_default();
    let mut put = |text: std::fmt::Arguments<'_>| {
        svg.write_fmt(text).expect("writing to a string succeeds");
        svg.push('\n');
    };
    put(format_args!(
        "<text x=\"{left}\" y=\"{}\" font-weight=\"bold\">{attribute}: {} answers, error {error:.3}</text>",
        TOP - 12.0,
        score.answered
    ));
    put(format_args!(
        "<rect x=\"{left}\" y=\"{TOP}\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" stroke=\"#888888\"/>"
    ));
    for tenth in 5..=10 {
        let share = f64::from(tenth) / 10.0;
        put(format_args!(
            "<line x1=\"{left}\" y1=\"{0:.1}\" x2=\"{right}\" y2=\"{0:.1}\" stroke=\"#dddddd\"/>",
            y(share)
        ));
        put(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{} %</text>",
            left - 6.0,
            y(share) + 4.0,
            tenth * 10
        ));
        put(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} %</text>",
            x(share),
            bottom + 16.0,
            tenth * 10
        ));
    }
    put(format_args!(
        "<line x1=\"{left}\" y1=\"{bottom}\" x2=\"{right}\" y2=\"{TOP}\" stroke=\"#888888\" stroke-dasharray=\"4 3\"/>"
    ));
    let most = score.calibration().iter().map(|(.., count)| *count).max().unwrap_or(1);
    for (sure, right_share, count) in score.calibration() {
        // What is right less often than the axis shows lies on its edge.
        let (at_x, at_y) = (x(sure.max(FROM)), y(right_share.max(FROM)));
        let radius = 3.0 + 7.0 * (count as f64 / most as f64).sqrt();
        put(format_args!(
            "<circle cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"{radius:.1}\" fill=\"#1f6feb\" fill-opacity=\"0.7\"><title>\
             {:.1} % sure, {:.1} % right, {count} answers</title></circle>",
            sure * 100.0,
            right_share * 100.0
        ));
        put(format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{count}</text>",
            at_x - radius - 3.0,
            at_y + 4.0
        ));
    }
    put(format_args!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">confidence claimed</text>",
        left + SIDE / 2.0,
        bottom + 36.0
    ));
    put(format_args!(
        "<text x=\"{0:.1}\" y=\"{1:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 {0:.1} {1:.1})\">share that was right</text>",
        left - 44.0,
        TOP + SIDE / 2.0
    ));
}
