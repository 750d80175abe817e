// Drives a node with the AWS SDK for JavaScript v3, the way an application would, and prints what it saw as one JSON
// document. Run where node_modules is; reads the package from the file named first, the function's name second.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, packagePath, FunctionName] = process.argv.slice(2);
const sdk = createRequire(pathToFileURL(join(modules, "package.json")))("@aws-sdk/client-lambda");

// Retries would hide an answer that ought not to have been given.
const lambda = new sdk.LambdaClient({ maxAttempts: 1 });
const waiting = { client: lambda, maxWaitTime: 30, minDelay: 1, maxDelay: 1 };
const ZipFile = readFileSync(packagePath);
const Role = "arn:aws:iam::000000000000:role/lambda-role";
const text = (bytes) => new TextDecoder().decode(bytes);
const seen = {};

const layer = await lambda.send(
  new sdk.PublishLayerVersionCommand({
    LayerName: `${FunctionName}-layer`,
    Content: { ZipFile: readFileSync(process.argv[5]) },
    CompatibleRuntimes: ["python3.11"],
  }),
);
const made = await lambda.send(
  new sdk.CreateFunctionCommand({
    FunctionName,
    Runtime: "python3.11",
    Role,
    Handler: "app.handler",
    Code: { ZipFile },
    Layers: [layer.LayerVersionArn],
    Environment: { Variables: { GREETING: "hello" } },
  }),
);
seen.made = { state: made.State, layers: made.Layers.map(({ Arn }) => Arn === layer.LayerVersionArn) };
seen.active = (await sdk.waitUntilFunctionActiveV2(waiting, { FunctionName })).state;

const answer = await lambda.send(
  new sdk.InvokeCommand({ FunctionName, Payload: JSON.stringify({ name: "node" }), LogType: "Tail" }),
);
seen.answer = { status: answer.StatusCode, version: answer.ExecutedVersion, payload: JSON.parse(text(answer.Payload)) };
seen.tail = Buffer.from(answer.LogResult, "base64").toString().includes("greeting node");

const failed = await lambda.send(new sdk.InvokeCommand({ FunctionName, Payload: "[]" }));
seen.failed = { error: failed.FunctionError, type: JSON.parse(text(failed.Payload)).errorType };
const accepted = await lambda.send(new sdk.InvokeCommand({ FunctionName, InvocationType: "Event", Payload: "{}" }));
const dry = await lambda.send(new sdk.InvokeCommand({ FunctionName, InvocationType: "DryRun" }));
seen.statuses = [accepted.StatusCode, dry.StatusCode];

const streamed = await lambda.send(
  new sdk.InvokeWithResponseStreamCommand({ FunctionName, Payload: JSON.stringify({ name: "stream" }) }),
);
seen.streamed = { chunks: "", completed: 0 };
for await (const event of streamed.EventStream) {
  if (event.PayloadChunk) seen.streamed.chunks += text(event.PayloadChunk.Payload);
  if (event.InvokeComplete) seen.streamed.completed += 1;
}

await lambda.send(
  new sdk.UpdateFunctionConfigurationCommand({ FunctionName, Environment: { Variables: { GREETING: "good day" } } }),
);
seen.updated = (await sdk.waitUntilFunctionUpdatedV2(waiting, { FunctionName })).state;
const { Version } = await lambda.send(new sdk.PublishVersionCommand({ FunctionName, Description: "first" }));
await sdk.waitUntilPublishedVersionActive(waiting, { FunctionName, Qualifier: Version });
await lambda.send(new sdk.CreateAliasCommand({ FunctionName, Name: "live", FunctionVersion: Version }));
const aliased = await lambda.send(
  new sdk.InvokeCommand({ FunctionName, Qualifier: "live", Payload: JSON.stringify({ name: "alias" }) }),
);
seen.aliased = { version: aliased.ExecutedVersion, payload: JSON.parse(text(aliased.Payload)) };

seen.versions = [];
for await (const page of sdk.paginateListVersionsByFunction({ client: lambda, pageSize: 1 }, { FunctionName })) {
  seen.versions.push(page.Versions.map((version) => version.Version));
}
const functions = [];
for await (const page of sdk.paginateListFunctions({ client: lambda }, {})) functions.push(...page.Functions);
seen.listed = functions.filter((found) => found.FunctionName === FunctionName).length;
const concurrency = { FunctionName, ReservedConcurrentExecutions: 3 };
seen.reserved = (await lambda.send(new sdk.PutFunctionConcurrencyCommand(concurrency))).ReservedConcurrentExecutions;
const got = await lambda.send(new sdk.GetFunctionCommand({ FunctionName }));
seen.got = { reserved: got.Concurrency.ReservedConcurrentExecutions, code: got.Code.RepositoryType };
seen.download = (await (await fetch(got.Code.Location)).arrayBuffer()).byteLength === ZipFile.length;

const refusal = async (command) => {
  try {
    await lambda.send(command);
    return null;
  } catch (error) {
    const { name, message, Type, $metadata } = error;
    return { name, message, type: Type, status: $metadata.httpStatusCode, isClass: error instanceof sdk[name] };
  }
};
seen.conflict = await refusal(
  new sdk.CreateFunctionCommand({ FunctionName, Runtime: "python3.11", Role, Handler: "app.handler", Code: { ZipFile } }),
);
await lambda.send(new sdk.DeleteFunctionCommand({ FunctionName }));
seen.gone = await refusal(new sdk.InvokeCommand({ FunctionName }));

console.log(JSON.stringify(seen));
