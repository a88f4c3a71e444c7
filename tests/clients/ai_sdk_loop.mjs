// Tool loops and continued answers of the Vercel AI SDK with its default OpenAI provider. Prints a line for each.
// Arguments: the base URL, the package of the SDK, the package of its OpenAI provider.
import { z } from "zod";

const [baseURL, sdkName, providerName] = process.argv.slice(2);
const sdk = await import(sdkName);
const { createOpenAI } = await import(providerName);

const openai = createOpenAI({ baseURL, apiKey: "123" });
const stepCount = sdk.isStepCount ?? sdk.stepCountIs;
const question = "What is the weather in Rome?";
const weather = sdk.tool({
  description: "The weather of a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `sunny in ${city}`,
});
const options = { model: openai("gpt-5.5"), stopWhen: stepCount(4), tools: { weather } };

const whole = await sdk.generateText({ ...options, prompt: question });
console.log("whole:", whole.text, whole.steps.length);

const streamed = sdk.streamText({ ...options, prompt: question });
console.log("streamed:", await streamed.text, (await streamed.steps).length);

const answered = whole.responseMessages ?? whole.response.messages;
const messages = [{ role: "user", content: question }, ...answered];
const again = await sdk.generateText({ ...options, messages: [...messages, { role: "user", content: "Thanks" }] });
console.log("again:", again.text, again.steps.length);

const previousResponseId = whole.providerMetadata.openai.responseId;
const continued = await sdk.generateText({
  ...options,
  prompt: "And now?",
  providerOptions: { openai: { previousResponseId } },
});
console.log("continued:", continued.text, continued.steps.length);
