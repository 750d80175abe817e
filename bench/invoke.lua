-- wrk script: POST one body to one path. BENCH_TYPE is RequestResponse or Event; with BENCH_HOST it is a plain POST to
-- the function URL of that name. Prints one line of JSON at the end.
local host = os.getenv("BENCH_HOST")
wrk.method = "POST"
wrk.body = os.getenv("BENCH_BODY") or "{}"
wrk.headers["Content-Type"] = "application/json"
if host and host ~= "" then
  wrk.headers["Host"] = host
else
  wrk.headers["X-Amz-Invocation-Type"] = os.getenv("BENCH_TYPE") or "RequestResponse"
  wrk.headers["X-Amz-Date"] = "20261121T000000Z"
  wrk.headers["Authorization"] = "AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/lambda/aws4_request, "
    .. "SignedHeaders=host;x-amz-date, Signature=0000000000000000000000000000000000000000000000000000000000000000"
end

done = function(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'JSON {"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"failed":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
