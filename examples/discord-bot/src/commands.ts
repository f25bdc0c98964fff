import { type ChatInputCommandInteraction, MessageFlags, SlashCommandBuilder } from 'discord.js';
import type { BotConfig } from './config.js';
import type { Globals } from './globals.js';
import { answerTo } from './places.js';
import type { Question } from './question.js';
import type { Responder } from './responder.js';
import { statusText } from './status.js';
import type { Store } from './store.js';

export const COMMANDS = [
  withQuestion('ask', 'Ask about async programming. The answer is for you.'),
  withQuestion('faq', 'The same for everybody: asked by many, answered once.'),
  new SlashCommandBuilder().setName('status').setDescription('How the bot is doing.'),
].map((command) => command.toJSON());

function withQuestion(name: string, description: string) {
  return new SlashCommandBuilder()
    .setName(name)
    .setDescription(description)
    .addStringOption((option) => option.setName('question').setDescription('What to ask').setRequired(true));
}

interface Services {
  readonly globals: Globals;
  readonly responder: Responder;
  readonly store: Store;
  readonly config: BotConfig;
}

/** Acknowledged at once, since Discord waits 3 s for that and no longer; the answer may then take its time in the queue. */
export async function onCommand(
  interaction: ChatInputCommandInteraction,
  { globals, responder, store, config }: Services,
): Promise<void> {
  const { commandName, user, guild } = interaction;
  if (commandName === 'status') {
    await interaction.deferReply({ flags: MessageFlags.Ephemeral });
    await interaction.editReply(await statusText(globals, store, config));
    return;
  }
  await interaction.deferReply();
  const channel = await interaction.client.channels.fetch(interaction.channelId);
  if (!channel?.isSendable()) {
    await interaction.editReply('I cannot write here.');
    return;
  }
  const question: Question = {
    text: interaction.options.getString('question', true),
    user: { id: user.id, name: user.displayName },
    guild,
    channel,
    audience: commandName === 'faq' ? 'server' : 'user',
  };
  const place = answerTo(interaction);
  await responder.take(question, place, (why) => place.show(why));
}
