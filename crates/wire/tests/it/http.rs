//! HTTP and RTSP responses, challenges and digests.

use kenshin_wire::http::challenge::{basic, challenges};
use kenshin_wire::http::digest::{Algorithm, Digest, Proof};
use kenshin_wire::http::{
    Body, HttpError, Limits, Progress, Request, Response, ResponseDecoder, Session, Version, page,
};
use kenshin_wire::{redaction, rtsp};

use super::exercise::reads;
use super::transcript;

fn decode(bytes: &[u8]) -> Result<Response, HttpError> {
    let mut decoder = ResponseDecoder::new(Limits::default());
    decoder.push(bytes)?;
    decoder.end()
}

#[test]
fn a_router_page_in_shift_jis() {
    let response = decode(&transcript("http-router-shift-jis")).unwrap();
    assert_eq!((response.head.status, response.complete), (200, true));
    assert_eq!(response.head.headers.get("SERVER"), Some("GoAhead-Webs"));
    assert_eq!(response.head.headers.cookie_names(), ["SESSIONID", "lang"]);
    let text = response.text();
    assert_eq!(page::title(&text).as_deref(), Some("ブロードバンド ルーター 設定画面 & 表示ソフト"));
    assert!(page::has_password_form(&text));
}

#[test]
fn a_camera_page_in_euc_jp_chunked_with_bare_line_feeds() {
    let bytes = transcript("http-camera-euc-jp-chunked");
    for cuts in 0..200 {
        let mut decoder = ResponseDecoder::new(Limits::default());
        let mut done = Progress::More;
        for read in reads(&bytes, cuts) {
            done = decoder.push(read).unwrap();
        }
        assert_eq!(done, Progress::Done);
        let response = decoder.end().unwrap();
        assert!(response.complete);
        assert_eq!(page::title(&response.text()).as_deref(), Some("監視カメラ ログイン"));
        assert!(!page::has_password_form(&response.text()));
    }
}

#[test]
fn captured_challenges() {
    let response = decode(&transcript("http-lighttpd-basic")).unwrap();
    assert_eq!(response.head.status, 401);
    assert_eq!(challenges(&response.head.headers)[0].shown(), "Basic realm=\"CAM\"");

    let response = decode(&transcript("http-lighttpd-digest")).unwrap();
    let challenge = &challenges(&response.head.headers)[0];
    assert_eq!(challenge.shown(), "Digest realm=\"CAM D\"");
    let digest = Digest::from_challenge(challenge).unwrap();
    assert_eq!((digest.algorithm, digest.qop_auth, digest.session), (Algorithm::Md5, true, false));
}

/// RFC 7616 §3.9.1 gives the answers for both algorithms.
#[test]
fn digests_of_rfc_7616() {
    let response = decode(&transcript("http-digest-rfc7616")).unwrap();
    let proof = Proof {
        user: "Mufasa",
        password: "Circle of Life",
        method: "GET",
        target: "/dir/index.html",
        cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        count: 1,
    };
    let answers: Vec<String> = challenges(&response.head.headers)
        .iter()
        .map(|challenge| Digest::from_challenge(challenge).unwrap().response(&proof))
        .collect();
    assert_eq!(
        answers,
        [
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            "8ca523f5e9506fed4657c9700eebdbec"
        ]
    );
    let digest = Digest::from_challenge(&challenges(&response.head.headers)[0]).unwrap();
    let answer = digest.answer(&proof);
    for part in
        ["username=\"Mufasa\"", "algorithm=SHA-256", "qop=auth", "nc=00000001", "opaque=\"FQhe/qaU925"]
    {
        assert!(answer.contains(part), "{part} in {answer}");
    }
}

/// RFC 2069's erratum gives the answer of a server without `qop`.
#[test]
fn digest_without_qop() {
    let bytes = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"\r\n\r\n";
    let response = decode(bytes).unwrap();
    let digest = Digest::from_challenge(&challenges(&response.head.headers)[0]).unwrap();
    let proof = Proof {
        user: "Mufasa",
        password: "CircleOfLife",
        method: "GET",
        target: "/dir/index.html",
        cnonce: "",
        count: 1,
    };
    assert_eq!(digest.response(&proof), "1949323746fe6a43ef61f9606e7febea");
}

#[test]
fn challenges_with_commas_quotes_and_several_schemes() {
    let check = |value: &str, expected: &[(&str, &[(&str, &str)])]| {
        let bytes = format!("HTTP/1.1 401 X\r\nWWW-Authenticate: {value}\r\n\r\n");
        let response = decode(bytes.as_bytes()).unwrap();
        let found = challenges(&response.head.headers);
        let found: Vec<(&str, Vec<(&str, &str)>)> = found
            .iter()
            .map(|c| {
                (c.scheme.as_str(), c.parameters.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect())
            })
            .collect();
        let expected: Vec<_> = expected.iter().map(|(s, p)| (*s, p.to_vec())).collect();
        assert_eq!(found, expected, "{value}");
    };
    check("Basic realm=\"a, b\"", &[("Basic", &[("realm", "a, b")])]);
    check("basic REALM=x", &[("basic", &[("realm", "x")])]);
    check("Basic realm=\"say \\\"hi\\\"\"", &[("Basic", &[("realm", "say \"hi\"")])]);
    check(
        "Negotiate, Digest realm=\"d\",nonce=\"n==\", Basic realm=\"b\"",
        &[("Negotiate", &[]), ("Digest", &[("realm", "d"), ("nonce", "n==")]), ("Basic", &[("realm", "b")])],
    );
    check("Basic", &[("Basic", &[])]);
    check("realm=\"nobody\"", &[]);
    check("Basic realm=\"open", &[("Basic", &[("realm", "open")])]);
}

#[test]
fn bodies_end_where_they_say() {
    let check = |bytes: &str, body: &str, complete: bool| {
        let response = decode(bytes.as_bytes()).unwrap();
        assert_eq!(
            (String::from_utf8_lossy(&response.body).as_ref(), response.complete),
            (body, complete),
            "{bytes}"
        );
    };
    check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", "abc", true);
    check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "abc", false);
    check("HTTP/1.1 200 OK\r\n\r\nabc", "abc", true);
    check("HTTP/1.1 204 No Content\r\n\r\nabc", "", true);
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc", true);
    check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", "ab", false);
    check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", true);
    check("HTTP/1.0 200", "", false);
    check("HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: x\r\n\r\nabc", "abc", true);
}

#[test]
fn what_is_not_http_or_too_much_is_refused() {
    let limits = Limits { head_bytes_max: 256, headers_max: 4, body_bytes_max: 16 };
    let check = |bytes: &[u8], expected: HttpError| {
        for cuts in [0, 1, 7, 96] {
            let mut decoder = ResponseDecoder::new(limits);
            let failed = reads(bytes, cuts).into_iter().find_map(|read| decoder.push(read).err());
            let error = failed.or_else(|| decoder.end().err());
            assert_eq!(error, Some(expected), "{}", bytes.escape_ascii());
        }
    };
    check(b"220 ready\r\n", HttpError::StatusLine);
    check(b"HTTP/1.1 abc\r\n\r\n", HttpError::StatusLine);
    check(b"HTTP/1.1 99\r\n\r\n", HttpError::StatusLine);
    check(b"HTTP/1.1 2000 OK\r\n\r\n", HttpError::StatusLine);
    check(b"", HttpError::Truncated);
    check(&[b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'a'; 1000]].concat(), HttpError::HeadTooLong);
    check(b"HTTP/1.1 200 OK\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n\r\n", HttpError::TooManyHeaders);
    check(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", HttpError::Chunk);
}

#[test]
fn an_endless_body_is_cut() {
    let limits = Limits { body_bytes_max: 16, ..Limits::default() };
    for head in ["", "Content-Length: 99999999999\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut decoder = ResponseDecoder::new(limits);
        decoder.push(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes()).unwrap();
        let chunk = if head.starts_with('T') { "fffffffff\r\n" } else { "" };
        let progress = decoder.push(format!("{chunk}{}", "x".repeat(100)).as_bytes()).unwrap();
        assert_eq!(progress, Progress::Done, "{head}");
        let response = decoder.end().unwrap();
        assert_eq!((response.body.len(), response.complete), (16, false), "{head}");
    }
}

#[test]
fn requests_introduce_us_and_cannot_be_split() {
    let request = Request {
        method: "GET",
        target: "/",
        host: "192.0.2.1:8080\r\nX-Injected: 1",
        user_agent: "Kenshin/0.1 (kenshin@example.jp)",
        authorization: Some(&basic("Aladdin", "open sesame")),
        session: None,
        body: None,
        keep_alive: false,
    };
    let text = String::from_utf8(request.encode()).unwrap();
    assert_eq!(
        text,
        "GET / HTTP/1.1\r\nHost: 192.0.2.1:8080  X-Injected: 1\r\nUser-Agent: Kenshin/0.1 (kenshin@example.jp)\r\nAccept: */*\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn a_login_is_sent_with_its_cookies_and_from_its_page() {
    let request = Request {
        method: "POST",
        target: "/login.cgi",
        host: "192.0.2.1",
        user_agent: "Kenshin",
        authorization: None,
        session: Some(Session { cookies: "a=1; b=2\r\nX: 3", referer: "http://192.0.2.1/" }),
        body: Some(Body { kind: "application/x-www-form-urlencoded", bytes: b"u=1&p=%0D%0A" }),
        keep_alive: true,
    };
    assert_eq!(
        String::from_utf8(request.encode()).unwrap(),
        "POST /login.cgi HTTP/1.1\r\nHost: 192.0.2.1\r\nUser-Agent: Kenshin\r\nAccept: */*\r\n\
         Referer: http://192.0.2.1/\r\nCookie: a=1; b=2  X: 3\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 12\r\nConnection: keep-alive\r\n\r\nu=1&p=%0D%0A"
    );
}

#[test]
fn a_stream_is_asked_to_be_described() {
    let asked = rtsp::describe("rtsp://192.0.2.1/a b", 7, "Kenshin\r\nX: 1", Some("Basic eA=="));
    assert_eq!(
        String::from_utf8(asked).unwrap(),
        "DESCRIBE rtsp://192.0.2.1/a%20b RTSP/1.0\r\nCSeq: 7\r\nAccept: application/sdp\r\n\
         User-Agent: Kenshin  X: 1\r\nAuthorization: Basic eA==\r\n\r\n"
    );
}

#[test]
fn rtsp_answers_are_responses_too() {
    let response = decode(&transcript("rtsp-camera-options")).unwrap();
    assert_eq!(
        (response.head.version, response.head.status, response.complete),
        (Version::Rtsp10, 200, true)
    );
    assert_eq!(rtsp::methods(&response.head).len(), 8);
    let response = decode(&transcript("rtsp-camera-refuses-get")).unwrap();
    assert_eq!((response.head.version, response.head.status), (Version::Rtsp10, 400));
    assert!(rtsp::options("a\r\nb").starts_with(b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: a  b\r\n"));
}

#[test]
fn password_forms() {
    let check = |page: &str, expected: bool| assert_eq!(page::has_password_form(page), expected, "{page}");
    check("<input type=password>", true);
    check("<INPUT name=p TYPE = 'Password' >", true);
    check("<script>document.write('<input type=\\\"password\\\" name=p>')</script>", true);
    check("<!-- <input type=password> --><p>", false);
    check("<input type=text name=password>", false);
    check("<input data-type=password>", false);
    check("the input type=password", false);
    check("<input", false);
}

#[test]
fn titles() {
    let check =
        |page: &str, expected: Option<&str>| assert_eq!(page::title(page).as_deref(), expected, "{page}");
    check("<title>a</title>", Some("a"));
    check("<TITLE lang=ja>\n a\t b &lt;c&gt; &#65;&#x42; &bogus; &</TITLE>", Some("a b <c> AB &bogus; &"));
    check("<title></title>", None);
    check("<title>open", Some("open"));
    check("<!-- <title>no</title> --><title>yes</title>", Some("yes"));
    check("no title", None);
    assert!(page::title(&format!("<title>{}</title>", "検 ".repeat(4000))).unwrap().len() <= 512);
}

#[test]
fn secrets_are_redacted() {
    let check = |text: &str, expected: &str| {
        assert_eq!(String::from_utf8_lossy(&redaction::text(text.as_bytes())), expected, "{text}");
    };
    check("/login.cgi?session=8f3a&lang=ja", "/login.cgi?session=****&lang=ja");
    check("var csrfToken = \"abc def\";", "var csrfToken = \"*******\";");
    check("{\"authToken\":\"abc\",\"model\":\"X1\"}", "{\"authToken\":\"***\",\"model\":\"X1\"}");
    check("<input name=\"session_id\" value=\"8f3a\">", "<input name=\"session_id\" value=\"****\">");
    check("<meta name=\"csrf-token\" content=\"abc\">", "<meta name=\"csrf-token\" content=\"***\">");
    check("<meta name=\"author\" content=\"Kenta\">", "<meta name=\"author\" content=\"Kenta\">");
    check("default password: 1234", "default password: ****");
    check("inside: yes, model=DVR, Password: ", "inside: yes, model=DVR, Password: ");
    let head = b"200 OK\r\nSet-Cookie: SID=abc; path=/\r\nServer: x\r\nAuthorization: Basic abc\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n1\", opaque=\"o\"\r\n";
    assert_eq!(
        String::from_utf8_lossy(&redaction::head(head)),
        "200 OK\r\nSet-Cookie: SID=***; path=/\r\nServer: x\r\nAuthorization: ***** ***\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"**\", opaque=\"*\"\r\n"
    );
}
