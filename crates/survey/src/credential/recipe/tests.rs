use proptest::prelude::*;

use super::*;
use crate::credential::tests::spoilt;

const WHOLE: &str = r#"
[[forms]]
name = "hoshi-cam"
says = ["Hoshi", "CAM-7"]
page = "/login.html"
hidden = ["csrf"]
take = [{ name = "nonce", after = "var nonce='", until = "'" }]
make = [
    { name = "inner", from = "{user}:{password}", by = ["md5", "upper"] },
    { name = "proof", from = "{nonce}{inner}", by = ["sha256"] },
    { name = "plain", from = "{password}", by = ["base64"] },
]
path = "/login.cgi"
fields = [{ name = "u", value = "{user}" }, { name = "p", value = "{proof}" }, { name = "q", value = "{{{plain}}}" }]
success = [{ status = [302], location = "/main" }, { cookie = "session" }]
failure = [{ body = "error" }]
logout = { method = "GET", path = "/logout" }

[[streams]]
says = ["Hoshi"]
path = "/live/ch0"
"#;

#[test]
fn a_recipe_is_read_and_filled_in() {
    let recipes = Recipes::parse(WHOLE).unwrap();
    assert_eq!((recipes.len(), recipes.sha256().len()), (2, 64));
    let page = protocol::Http::default();
    assert!(recipes.form(&page, "hoshi electric\ncam-8").is_none());
    let form = recipes.form(&page, "server: hoshi\ncam-7 login").unwrap();
    let mut values = Values::default();
    for (name, value) in [("user", "admin"), ("password", "pw"), ("csrf", "c1"), ("nonce", "n1")] {
        values.set(name, value.to_owned());
    }
    assert!(!format!("{values:?}").contains("pw"));
    let inner = hex::encode(<md5::Md5 as Digest>::digest("admin:pw")).to_uppercase();
    let proof = hex::encode(Sha256::digest(format!("n1{inner}")));
    let filled = form.fill(values);
    let expected = [("u", "admin"), ("p", &proof), ("q", "{cHc=}"), ("csrf", "c1")];
    let expected: Vec<_> =
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    assert_eq!(filled, expected);
    assert_eq!(recipes.stream("hoshi rtsp"), "/live/ch0");
    assert_eq!(recipes.stream("other"), "/");
    assert!(Recipes::default().is_empty());
}

#[test]
fn the_handbook_shows_files_that_are_read() {
    let page =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/credential-checks.md"))
            .unwrap();
    let block = |name: &str| {
        page.split("```toml\n").find(|text| text.starts_with(name)).unwrap().split("```").next().unwrap()
    };
    let recipes = Recipes::parse(block("# recipes.toml")).unwrap();
    assert_eq!((recipes.forms.len(), recipes.streams.len()), (1, 1));
    let dictionary = crate::credential::Dictionary::parse(block("# dictionary.toml")).unwrap();
    assert_eq!(dictionary.entries().len(), 2);
}

/// Each change makes the recipe unusable, and the message says where and why.
#[test]
fn what_cannot_work_is_refused_with_its_line() {
    for (from, to, line, why) in [
        ("name = \"hoshi-cam\"", "nmae = \"x\"", 3, "unknown field `nmae`"),
        ("says = [\"Hoshi\", \"CAM-7\"]", "says = []", 2, "fit every page"),
        ("says = [\"Hoshi\", \"CAM-7\"]", "says = [\"Hoshi\", \" \"]", 2, "empty word"),
        ("path = \"/login.cgi\"", "path = \"//elsewhere.example/login\"", 13, "no path at the same address"),
        ("path = \"/login.cgi\"", "path = \"http://elsewhere.example/\"", 13, "no path at the same address"),
        ("path = \"/login.cgi\"", "path = \"/a b\"", 13, "no path"),
        ("page = \"/login.html\"\n", "", 2, "add `page`"),
        ("{ name = \"u\", value = \"{user}\" }", "{ name = \"u\", value = \"{usr}\" }", 2, "`{usr}` in `u`"),
        ("from = \"{nonce}{inner}\"", "from = \"{plain}\"", 2, "nothing before it"),
        ("value = \"{proof}\"", "value = \"{proof\"", 14, "brace alone"),
        ("page = ", "icon_sha256 = \"12\"\npage = ", 2, "64 hexadecimal digits"),
        ("name = \"inner\"", "name = \"csrf\"", 2, "names `csrf` twice"),
        ("by = [\"sha256\"]", "by = [\"rot13\"]", 10, "rot13"),
        ("failure = [{ body = \"error\" }]", "failure = []", 2, "decides nothing"),
        ("failure = [{ body = \"error\" }]", "failure = [{}]", 16, "a sign needs one of"),
        ("after = \"var nonce='\"", "after = \"\"", 2, "`after` and `until` need a text"),
        ("until = \"'\"", "until = \"\"", 2, "`after` and `until` need a text"),
        ("value = \"{user}\"", "value = 123456", 14, "invalid type: integer, expected a string"),
        ("says = [\"Hoshi\"]", "says = []", 19, "fit every server"),
        ("says = [\"Hoshi\"]", "says = [\"\"]", 19, "fit every server"),
    ] {
        assert!(WHOLE.contains(from), "{from}");
        let error = Recipes::parse(&WHOLE.replacen(from, to, 1)).unwrap_err();
        assert_eq!(error.line, line, "{to}: {error}");
        assert!(error.to_string().contains(why) && error.to_string().contains("hint:"), "{to}: {error}");
    }
    let silent = WHOLE.replace(
        "{ name = \"p\", value = \"{proof}\" }, { name = \"q\", value = \"{{{plain}}}\" }",
        "{ name = \"p\", value = \"x\" }",
    );
    assert!(Recipes::parse(&silent).unwrap_err().to_string().contains("the password in no field"));
    assert!(Recipes::parse("").unwrap_err().to_string().contains("no recipe at all"));
}

proptest! {
    /// Whatever a file says, it is filled in or refused with a line that it has.
    #[test]
    fn any_file_is_read_or_refused(text in spoilt(WHOLE)) {
        match Recipes::parse(&text) {
            Ok(recipes) => recipes.forms.iter().for_each(|form| drop(form.fill(Values::default()))),
            Err(error) => {
                prop_assert!((1..=1 + text.matches('\n').count()).contains(&error.line), "{}", error);
            }
        }
    }
}
