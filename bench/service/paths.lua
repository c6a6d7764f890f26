-- wrk's requests to our services:
--   wrk … -s paths.lua URL -- PATH USERS FIRST LAST BATCH THREADS TOKENS QUERIES
-- FIRST..LAST: ids of the fresh messages that this run may score, each of them once. TOKENS: a file with a bearer
-- token a line: the pipeline's, the app's, the supervisor's of all, then the counselors'. QUERIES: a file with an embedding a line, as JSON.
local threads = 0
function setup(thread) threads = threads + 1; thread:set("tid", threads) end

local path, users, first, last, batch, count
local tokens, ids, bodies, queries = {}, {}, {}, {}
local fmt, rnd = string.format, math.random
local position, version = 0, 1
-- As long as the label of a pass over the messages, which it stands for until a second pass begins.
local PASS = "bench_pass_0001"
local now = os.date("!%Y-%m-%dT%H:%M:%SZ", os.time() - 60)

local known_headers = {}
local function headers(token)
  local found = known_headers[token]
  if not found then
    found = { ["Content-Type"] = "application/json", ["Authorization"] = "Bearer " .. token }
    known_headers[token] = found
  end
  return found
end

local function scores()
  local u = rnd()
  u = u * u * u * u * u * u * u * u -- 4 % reach 0.7, our threshold of a high-risk message
  return fmt('"p_craving":%.4f,"p_relapse":%.4f,"p_negative_mood":%.4f,"p_neutral":%.4f,"p_toxic":%.4f,'
    .. '"p_isolation":%.4f,"risk_score":%.4f,"model_version":"%s"',
    0.49 * rnd(), 0.49 * rnd(), rnd(), rnd(), rnd(), rnd(), u, PASS)
end

local function shuffle(list)
  for i = #list, 2, -1 do
    local j = rnd(1, i)
    list[i], list[j] = list[j], list[i]
  end
end

-- Threads share out the messages among themselves, as none knows of the other.
local function prepare_writes()
  for id = first + tid - 1, last, count do ids[#ids + 1] = id end
  shuffle(ids)
end

-- A batch is a run of messages that were sent one after the other, as in the kit.
local function prepare_batches()
  for from = first + (tid - 1) * batch, last - batch + 1, batch * count do
    local items = {}
    for id = from, from + batch - 1 do items[#items + 1] = fmt('{"message_id":%d,%s}', id, scores()) end
    bodies[#bodies + 1] = '{"items":[' .. table.concat(items, ",") .. "]}"
  end
end

-- Messages of clients one after the other, as an app that hands on what they write.
local function prepare_messages()
  for body = 1, 8 do
    local items = {}
    for n = 1, batch do
      items[n] = fmt('{"user_id":"user-%07d","message_text":"Synthetic message %d: today was a day like the others, but for the rain",'
        .. '"conversation_type":"buddy","timestamp":"%s"}', 1 + (body * 7919 + n * 31 + tid) % users, n, now)
    end
    bodies[body] = '{"items":[' .. table.concat(items, ",") .. "]}"
  end
end

-- What a live model says of clients as of now, with ten features and what each of them adds.
local function prepare_predictions()
  local features, parts = {}, {}
  for n = 0, 9 do
    features[#features + 1] = fmt('"f%d":0.5', n)
    parts[#parts + 1] = fmt('{"feature":"f%d","value":0.5,"contribution":0.02}', n)
  end
  local rest = fmt('"model_name":"bench-7d","model_version":"1","probability":0.4,"horizon_days":7,"features":{%s},'
    .. '"explanations":[{"method":"shap","base_value":0.2,"link":"identity","contributions":[%s]}]',
    table.concat(features, ","), table.concat(parts, ","))
  for body = 1, 8 do
    local items = {}
    for n = 1, batch do items[n] = fmt('{"user_id":"user-%07d",%s}', 1 + (body * 7919 + n * 31 + tid) % users, rest) end
    bodies[body] = '{"items":[' .. table.concat(items, ",") .. "]}"
  end
end

local function prepare_searches(file)
  for line in io.lines(file) do queries[#queries + 1] = line end
end

function init(args)
  path, users, first, last = args[1], tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  batch, count = tonumber(args[5]), tonumber(args[6])
  for line in io.lines(args[7]) do tokens[#tokens + 1] = line end
  math.randomseed(7919 * tid + 17)
  if path == "write" then prepare_writes()
  elseif path == "batch" then prepare_batches()
  elseif path == "message_batch" then prepare_messages()
  elseif path == "risk_batch" then prepare_predictions()
  elseif path:find("^search") then prepare_searches(args[8]) end
end

-- The next of a list; past its end from the beginning, as another model version.
local function next_of(list)
  position = position + 1
  if position > #list then
    position, version = 1, version + 1
  end
  return list[position]
end

local function as_version(body)
  return version == 1 and body or (body:gsub(PASS, fmt("bench_pass_%04d", version)))
end

local function counselor_of(user) return tokens[4 + user % (#tokens - 3)] end

local function search(token, more)
  local body = fmt('{"limit":10,%s"embedding":%s}', more, queries[rnd(1, #queries)])
  return wrk.format("POST", "/v1/search/memory", headers(token), body)
end

function request()
  if path == "write" then
    local id = next_of(ids)
    return wrk.format("POST", fmt("/v1/messages/%d/predictions", id), headers(tokens[1]), as_version("{" .. scores() .. "}"))
  elseif path == "batch" then
    return wrk.format("POST", "/v1/predictions:batch", headers(tokens[1]), as_version(next_of(bodies)))
  elseif path == "profile" then
    local user = rnd(1, users)
    return wrk.format("GET", fmt("/v1/users/user-%07d/risk-profile", user), headers(counselor_of(user)))
  elseif path == "caseload" then
    return wrk.format("GET", "/v1/risk-profiles?limit=50", headers(tokens[rnd(4, #tokens)]))
  elseif path == "messages" then -- clients who write much: they have at least 50 messages
    local user = rnd(1, users / 5)
    return wrk.format("GET", fmt("/v1/users/user-%07d/messages?limit=50", user), headers(counselor_of(user)))
  elseif path == "context" then
    local user = rnd(1, users)
    return wrk.format("GET", fmt("/v1/users/user-%07d/context?sessions_limit=10", user), headers(counselor_of(user)))
  elseif path == "message_batch" then
    return wrk.format("POST", "/v1/messages:batch", headers(tokens[2]), next_of(bodies))
  elseif path == "risk_batch" then
    return wrk.format("POST", "/v1/predictions:batch", headers(tokens[1]), next_of(bodies))
  elseif path == "search" then
    return search(tokens[3], "")
  elseif path == "search_caseload" then
    return search(tokens[rnd(4, #tokens)], "")
  elseif path == "search_client" then
    local user = rnd(1, users)
    return search(counselor_of(user), fmt('"user_id":"user-%07d",', user))
  end
  return wrk.format("GET", "/healthz")
end

function done(summary, latency)
  local e = summary.errors
  io.write(fmt('RESULT {"requests":%d,"seconds":%.3f,"bytes":%d,"p50_us":%d,"p90_us":%d,"p99_us":%d,"max_us":%d,'
    .. '"errors":%d}\n', summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50),
    latency:percentile(90), latency:percentile(99), latency.max,
    e.connect + e.read + e.write + e.status + e.timeout))
end
