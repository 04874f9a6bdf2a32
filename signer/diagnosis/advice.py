"""For each finding: what is wrong, and what to do about it."""

from __future__ import annotations

# code: (what is wrong, what to do)
ADVICE: dict[str, tuple[str, str]] = {
    # --- the link was damaged on its way
    "truncated": (
        "The link is incomplete: its end, with the signature, is missing.",
        "Copy the full link again. In a shell, put it in single quotes, or the shell stops at the first &. In a "
        "database or a log, look for a limit on the length of a column or a line.",
    ),
    "missing_question_mark": (
        "The question mark between the key and the parameters is missing.",
        "Copy the full link again, and do not encode or filter it on the way: its first parameter must follow a ?.",
    ),
    "line_broken": (
        "The link was split into lines, as mail programs do.",
        "Join the lines without spaces. To avoid it, send the link in HTML mail (<a href>), or send a short address "
        "that redirects to it.",
    ),
    "trailing_text": (
        "Text after the link was copied with it.",
        "End the link after its signature: 64 hexadecimal digits, or 28 characters of V1. In a sentence, put the link "
        "on its own line.",
    ),
    "html_escaped": (
        "The link is HTML source: & is written as &amp;.",
        "Copy the link from the page in a browser, or unescape it (html.unescape) before you use it. A template must "
        "escape a link exactly once, in an attribute. Programs need the unescaped link.",
    ),
    "json_escaped": (
        r"The link is JSON source: & is written as \u0026.",
        "Parse the JSON and use the resulting string. Do not cut the link out of the JSON source.",
    ),
    "shell_escaped": (
        "The link contains shell escapes.",
        "Remove the backslashes (cmd.exe: the carets), and put the link in single quotes instead.",
    ),
    "double_encoded": (
        "The link was percent-encoded twice.",
        "Use the link as the signer returned it: it is already encoded. Pass it to the HTTP client as one URL, not as "
        "parts that are encoded again. If it arrived inside another URL, decode it exactly once.",
    ),
    "plus_decoded": (
        "A plus sign became a space: %2B was decoded on the way.",
        "Pass the link on without decoding it. Security tokens and signatures of V1 are base64 and contain plus "
        "signs, and in a query a plus sign means a space. Look for decodeURI, urldecode or a framework's query parser "
        "between signer and client.",
    ),
    "decoded": (
        "A part of the link was percent-decoded.",
        "Pass the link on without decoding it: %20, %23, %3F and %25 must stay encoded.",
    ),
    "case_changed": (
        "Upper and lower case of the link were changed.",
        "Keep the case of every character: keys, tokens and dates depend on it. QR codes need byte mode, not "
        "alphanumeric mode.",
    ),
    "wrapped": (
        "The link is inside another address, as mail and chat programs write links.",
        "Programs need the link itself: decode that parameter exactly once, and request what it holds. In a browser, "
        "the other address leads to the link, unless its program checks or changes it first.",
    ),
    # --- the request is not what was signed
    "added_parameters": (
        "Parameters were added to the link after it was signed.",
        "Remove them. Every parameter is signed, so pass those that you need (versionId, response-*, x-oss-process) to "
        "the signer. Turn off trackers and cache busters for links, such as axios params or jQuery cache: false. If "
        "the link does not contain them, look for the proxy or the library that adds them.",
    ),
    "missing_parameter": (
        "A parameter of the signature is missing.",
        "Copy the full link again. It needs every x-oss-* parameter, even one that looks like a tracker.",
    ),
    "malformed_parameter": (
        "A parameter of the signature is invalid.",
        "Copy the link again, or sign again. These parameters cannot be edited by hand.",
    ),
    "altered_parameter": (
        "A parameter was changed after signing.",
        "Sign again with the value that you need. The expiry or the file name of a signed link cannot be changed.",
    ),
    "changed_query": (
        "OSS received a query that differs from the link's.",
        "Look for what rewrites the link between client and OSS: a proxy, a CDN, a redirect, or an HTTP library that "
        "encodes it again.",
    ),
    "changed_path": (
        "OSS received a path that differs from the link's.",
        "Look for what rewrites paths between client and OSS: a proxy that decodes or merges slashes, a CDN rule, or "
        "a client that normalises paths. Request the link unchanged (curl --path-as-is).",
    ),
    "wrong_method": (
        "The link was signed for another HTTP method.",
        "Use the method that the link was signed for. GET and HEAD have different signatures, so curl -I on a GET link "
        "fails. Sign a second link for HEAD, or send GET with Range: bytes=0-0. Do not try the others: PUT uploads and "
        "replaces the object, DELETE deletes it. To read, sign a link for GET.",
    ),
    "missing_header": (
        "A header that was signed was not sent.",
        "Send exactly the headers that the signer returned with the link, with the same values.",
    ),
    "extra_header": (
        "A header was sent that was not signed.",
        "OSS checks Content-Type, Content-MD5 and x-oss-* whenever they are sent. Do not send the header (curl -H "
        "'Content-Type:', fetch with a Blob that has no type), or sign the link with it and send exactly the signed "
        "value.",
    ),
    "changed_header": (
        "A signed header was sent with another value.",
        "Send exactly the value that was signed. Some libraries add a charset to Content-Type.",
    ),
    "wrong_host": (
        "The link was signed for another host than the one it was sent to.",
        "Sign with the endpoint that clients use, or do not list host among the additional headers.",
    ),
    # --- credentials
    "missing_token": (
        "The link was signed with temporary credentials, but has no security token.",
        "Pass the token to the signer together with the key and the secret (security_token=, OSS_SESSION_TOKEN or "
        "ALIBABA_CLOUD_SECURITY_TOKEN). The signer adds it as x-oss-security-token and signs it.",
    ),
    "token_not_signed": (
        "The security token was added to the link, but not signed.",
        "Pass the token to the signer as part of the credentials. V4 calls it x-oss-security-token and signs it; "
        "security-token is its name in V1.",
    ),
    "wrong_token": (
        "The security token does not belong to this access key.",
        "Use the key, secret and token of one STS response: they are renewed together.",
    ),
    "token_expired": (
        "The temporary credentials that signed the link have expired, and the link with them.",
        "Sign again. Tell the signer when the credentials expire (expires_at=), so that a link never promises a later "
        "time.",
    ),
    "unknown_access_key": (
        "OSS does not know the access key, or expected another one.",
        "Check that the key exists, is enabled, and belongs to this site and account. A temporary key needs its token. "
        "Look for a network policy of the key, too.",
    ),
    "wrong_secret": (
        "The link was not signed with this secret, its path or a parameter was changed afterwards, or its signature "
        "covers something that the link does not show.",
        "Check the secret for a lost character or a line ending. If it is right, compare the link with the one that "
        "was made, and give the headers (--header) and the method (--method) that it was signed for.",
    ),
    "signature_mismatch": (
        "The signature does not match, and the link itself shows no reason.",
        "Check in this order: headers that were sent and not signed, or signed and not sent, Content-Type first; the "
        "method that was signed; a key or a parameter that was changed on the way; the secret (a lost character, that "
        "of another key, a space at its end).",
    ),
    "other_secret": (
        "OSS knows another secret for this access key than the one that signed the link.",
        "Copy the full secret of this access key, and sign again: look for a lost character, a line ending, or "
        "the secret of another key. Temporary credentials are one set: take key, secret and token of one STS response.",
    ),
    "other_link": (
        "OSS's answer belongs to another link.",
        "Request exactly this link again, and give the answer to that request.",
    ),
    "unsigned": (
        "The link has no signature.",
        "Copy the link with everything after the question mark. Without it, OSS answers AccessDenied for a private "
        "object. An address of fc-presign itself needs none: request it with -H 'Accept: application/json', and look "
        "the code up in docs/errors.md.",
    ),
    "share_address": (
        "This is the address of a share of fc-presign, not a presigned URL.",
        "Open it in a browser, which says what is wrong. Programs: curl -H 'Accept: application/json', and look up the "
        "code in docs/errors.md. A share that has expired or was used up is replaced by its sender.",
    ),
    "cdn_address": (
        "This looks like an address that a CDN's own key signed (URL signing), not OSS.",
        "Ask the CDN, not OSS: compare its key, its type of signing and its validity, and its clock, with those of the "
        "program that signed. With the key of type A, explain proves which is wrong (--cdn-key -, cdn=).",
    ),
    "other_service": (
        "This is the link of another service, not of OSS.",
        "Ask that service: its signatures, answers and tools are others. OSS's own hosts end with .aliyuncs.com.",
    ),
    "two_signatures": (
        "OSS received an Authorization header besides the signature in the link.",
        "If a CDN with private-bucket origin is before the bucket, it adds the header: turn that off for presigned "
        "links, or use the CDN's own signing. Otherwise do not send the header: clients take it from a session, a "
        ".netrc file or the request before a redirect.",
    ),
    "v1_forbidden": (
        "The link is signed with V1, which this account or bucket may not use.",
        "Sign with V4: it requires the bucket's region (oss2: AuthV4 and region=). A newer SDK alone is not enough.",
    ),
    "network_policy": (
        "The access key may not be used from this network.",
        "The key has a network policy in RAM: add the address from which the link is opened, or sign with a key that "
        "has none. A link carries the restriction of its key to whoever opens it.",
    ),
    # --- times
    "expired": (
        "The link has expired.",
        "Sign again. If it must work for longer, sign with a longer expiry (at most 7 days), or share an address that "
        "creates a new link on every visit.",
    ),
    "date_in_future": (
        "The signing time is more than 15 minutes from OSS's clock.",
        "Set the clock of the machine that signs (NTP), and write times in UTC. A local time with a Z after it is "
        "hours off.",
    ),
    "expires_out_of_range": (
        "The expiry must be from 1 to 604800 seconds.",
        "Sign with at most 7 days, in seconds from the signing time. V1 takes a Unix time; V4 does not.",
    ),
    # --- the address
    "wrong_region": (
        "The signature, the host and the bucket are not of one region.",
        "Sign with the bucket's own region, without oss- in front (cn-hangzhou), and use the endpoint of that region.",
    ),
    "bucket_twice": (
        "The bucket is in the host and in the path, so OSS looks for a key that starts with the bucket's name.",
        "Pass the key alone to the signer, without the bucket. Do not build the URL from bucket and host by hand.",
    ),
    "bucket_not_in_host": (
        "The bucket is in the path, but OSS's public domains require it in the host.",
        "Use https://BUCKET.oss-REGION.aliyuncs.com/KEY. The signature stays valid, unless host was signed.",
    ),
    "internal_host": (
        "The host is internal: it works only inside its region, and times out on the internet.",
        "For clients on the internet, sign with the public endpoint or a custom domain. Use the internal endpoint "
        "only for servers in that region.",
    ),
    "public_endpoint_forbidden": (
        "This account is not allowed to serve objects from OSS's default domain.",
        "Bind a custom domain to the bucket and sign with it. Accounts new to OSS since 2025-03-20 need one for "
        "regions in mainland China.",
    ),
    "app_package_domain": (
        "OSS does not serve app packages (.apk, .ipa) from its own domains.",
        "Bind a custom domain to the bucket and sign with it. This is so for buckets since 2023-08-15, and for the "
        "content types of app packages since 2024-08-05.",
    ),
    "redirect_forbidden": (
        "The bucket's redirect rules do not work on OSS's default domain.",
        "Bind a custom domain to the bucket and sign with it, or remove the redirect rule.",
    ),
    "rewritten_key": (
        'HTTP clients rewrite this key, for example because a segment is empty, "." or "..".',
        "Copy the object to a key without // and without . or .. segments, and sign that key. Until then, use a "
        "client that sends paths unchanged: curl --path-as-is.",
    ),
    # --- the signature is valid, and something else is wrong
    "archived": (
        "The object is archived and not restored.",
        "Restore it first (RestoreObject; minutes for Archive, hours for Cold Archive), or turn on direct read of "
        "Archive objects.",
    ),
    "no_such_key": (
        "The signature is valid, but the object does not exist.",
        "Compare the key character by character: upper and lower case, spaces, a slash at its start, accents that are "
        "composed differently. In a bucket with versions it may be deleted: a link with versionId reads an older one.",
    ),
    "no_such_bucket": (
        "The bucket does not exist.",
        "Check the bucket's name and the region of the host, or that a custom domain is bound to the bucket.",
    ),
    "no_such_version": (
        "This version of the object does not exist.",
        "Check versionId. It must be a query parameter of the link, not a header.",
    ),
    "access_denied": (
        "The access key that signed the link is not allowed to do this.",
        "A link has the rights of the key that signed it. If nothing allows it (ImplicitDeny), grant its role "
        "oss:GetObject (or oss:PutObject) on this object. If something denies it (ExplicitDeny), look in the policies "
        "of the role, of its session, of the bucket, the VPC endpoint and the account, also for conditions such as an "
        "address or HTTPS, and at Block Public Access.",
    ),
    "referer": (
        "The bucket's Referer rule (hotlink protection) refuses the page that the request comes from.",
        "Open the link from a page that the rule lists, or let the bucket's owner list it. If the request had no "
        "Referer, as in an address bar, a chat or a program, the rule must allow an empty one, or send one.",
    ),
    "cors": (
        "The bucket's CORS rules do not allow this request from a browser.",
        "Let the bucket's owner add a rule with the page's origin, the method and the headers of the request. Programs "
        "that are not browsers need none.",
    ),
    "kms_denied": (
        "OSS may not use the object's key of KMS for whoever signed the link.",
        "Grant the role that signed kms:Decrypt (for uploads kms:GenerateDataKey, too) on the key with which the "
        "object is encrypted, and check that KMS is activated and the key enabled.",
    ),
    "suspended": (
        "The account or the bucket is suspended.",
        "Only its owner can change that: pay what is overdue, or read the account's messages for a violation. No other "
        "link and no other key helps.",
    ),
    "source_address": (
        "The link is limited to certain client addresses (x-oss-ac-*), and the client has another one.",
        "Sign with the address that OSS sees. With a NAT or a proxy, this is not the client's own address. If it is "
        "right, look for what makes a signature wrong.",
    ),
    "already_exists": (
        "The object exists, and the link does not allow overwriting it.",
        "Upload to another key, or sign without x-oss-forbid-overwrite.",
    ),
    "precondition_failed": (
        "A condition of the request is not met.",
        "Remove If-Match, If-None-Match and similar headers, or update their values.",
    ),
    "range_outside": ("The range is outside the object.", "Request a range within the object's size."),
    "upload_refused": (
        "The upload, or its form, is not as OSS or the form's policy requires.",
        "Keep to the form's size, type and key. Send its fields unchanged, and one file, last. Without a form, an "
        "upload has at most 5 GB: a larger one needs several parts.",
    ),
    "callback_failed": (
        "The object was written, and only the callback failed.",
        "Do not upload again. The callback server must be reachable from the internet and answer in 5 seconds, with "
        "status 200, Content-Length, and JSON of at most 1 MB.",
    ),
    "other_error": (
        "OSS, or a CDN, refused the request for another reason.",
        "Do what OSS's message says. Its EC has a page: https://api.aliyun.com/troubleshoot. Of a CDN, look at the "
        "rules of the domain (Referer, IP, client).",
    ),
    # --- links that a CDN checks
    "cdn_mismatch": (
        "The CDN computes another MD5 than that of the link.",
        "Compare the key with the main and the backup key of the domain. If it is one of them, the link was changed "
        "after it was signed: copy it again, and look for what rewrites paths on the way.",
    ),
    "cdn_wrong_type": (
        "The link is signed as another type of URL signing than A, or with another parameter than the domain's.",
        "Let the program sign as type A, with the parameter of the domain. Other types cannot be checked here.",
    ),
    "cdn_encoding": (
        "The CDN reads the path or the time of the link in another form than the one that was signed.",
        "Sign the path exactly as the link has it: percent-encoded, from its first slash, without the query. Write "
        "the time in seconds since 1970, ten digits, and sign it so.",
    ),
}
