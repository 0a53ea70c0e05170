import numpy as np
import torch

from tests.viper_model.agents.examples import make_agent, make_batch
from viper_model.agents.dreamer.networks import patches_of


def test_acting_sees_what_the_world_model_sees_along_the_sequence_of_its_own_actions():
    agent = make_agent()
    with torch.no_grad():
        agent.actor.net[-1].weight.mul_(100)  # its actions differ from frame to frame
        agent.world_model.rssm.action_in.weight.mul_(10)
    images = make_batch(batch=1, time=6)["image"][0]
    is_first = np.arange(6) == 0
    policy, actions = agent.policy(), []
    state = policy.initial(1)
    for image, first in zip(images, is_first, strict=True):
        action, state = policy.act(state, image[None], np.array([first]), sample=False)
        actions.append(action)

    taken = torch.from_numpy(np.stack(actions))  # [time, 1, action_size]
    assert taken.std(0).min() > 0.05
    model = agent.world_model
    with torch.no_grad():
        embed = model.encoder(patches_of(torch.from_numpy(images), model.grid) - model.mean_frame.mean)[:, None]
        led_there = torch.cat([torch.zeros(1, 1, 2), taken[:-1]])
        noise = torch.ones_like(model.rssm.noise(6, 1, torch.Generator()))
        latent, _ = model.rssm.observe(embed, led_there, torch.from_numpy(is_first)[:, None], noise)
        expected = agent.actor(latent.feature).mode()
    torch.testing.assert_close(taken, expected, rtol=1e-3, atol=1e-4)
