import type { ChatInputCommandInteraction, Message } from 'discord.js';
import type { Place } from './live-message.js';

/** Texts come from a model: they must not wake up a whole server. */
const allowedMentions = { parse: [], repliedUser: true } as const;

/** A reply to a message, then edits of it. The nonce keeps a repeat, of a request that did arrive, from showing it twice. */
export function replyTo(message: Message): Place {
  let reply: Message | undefined;
  return {
    async show(content) {
      if (reply === undefined)
        reply = await message.reply({ content, allowedMentions, nonce: message.id, enforceNonce: true });
      else if (reply.content !== content) reply = await reply.edit({ content, allowedMentions });
    },
  };
}

/** The answer to a command that was acknowledged. */
export function answerTo(interaction: ChatInputCommandInteraction): Place {
  return {
    async show(content) {
      await interaction.editReply({ content, allowedMentions: { parse: [] } });
    },
  };
}
