import type { Channel, User, World } from './world.js';

/** Without its user, as in a message. */
export function memberOf({ global_name }: User): object {
  return {
    nick: global_name,
    avatar: null,
    roles: [],
    joined_at: '2026-01-05T09:00:00.000Z',
    premium_since: null,
    deaf: false,
    mute: false,
    pending: false,
    flags: 0,
    communication_disabled_until: null,
  };
}

/** What the gateway sends of it when it becomes available. */
export function guildOf({ guildId, bot, channels, users, emojis }: World): object {
  return {
    id: guildId,
    name: 'Async Corner',
    icon: null,
    owner_id: users.find(({ bot }) => !bot)?.id ?? bot.id,
    afk_timeout: 300,
    verification_level: 0,
    default_message_notifications: 1,
    explicit_content_filter: 0,
    roles: [
      {
        id: guildId,
        name: '@everyone',
        color: 0,
        colors: { primary_color: 0, secondary_color: null, tertiary_color: null },
        hoist: false,
        position: 0,
        permissions: '2248473465835073',
        managed: false,
        mentionable: false,
        flags: 0,
      },
    ],
    emojis,
    features: [],
    mfa_level: 0,
    system_channel_flags: 0,
    premium_tier: 0,
    premium_subscription_count: 0,
    preferred_locale: 'en-US',
    nsfw_level: 0,
    premium_progress_bar_enabled: false,
    joined_at: '2026-01-05T09:00:00.000Z',
    large: false,
    unavailable: false,
    member_count: users.length,
    voice_states: [],
    members: [{ user: bot, ...memberOf(bot) }],
    channels: channels.map(channelOf),
    threads: [],
    presences: [],
    stage_instances: [],
    guild_scheduled_events: [],
    soundboard_sounds: [],
    stickers: [],
  };
}

export function channelOf({ id, name, recipient }: Channel): object {
  if (recipient !== undefined) return { id, type: 1, recipients: [recipient], last_message_id: null };
  return {
    id,
    type: 0,
    name,
    position: 0,
    permission_overwrites: [],
    nsfw: false,
    topic: null,
    parent_id: null,
    rate_limit_per_user: 0,
  };
}
